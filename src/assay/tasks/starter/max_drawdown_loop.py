import torch
import torch.nn as nn

ROWS = 64
COLS = 256


class Model(nn.Module):
    """Largest fall from a running peak along each row."""

    def forward(self, x):
        peak = x[:, 0]
        drawdown = torch.zeros_like(peak)
        for t in range(1, x.shape[1]):
            peak = torch.maximum(peak, x[:, t])
            drawdown = torch.maximum(drawdown, peak - x[:, t])
        return drawdown


def get_inputs():
    return [torch.cumsum(torch.randn(ROWS, COLS), dim=1)]


def get_init_inputs():
    return []
