import torch
import torch.nn as nn

ROWS = 512
COLS = 512


class Model(nn.Module):
    """RMS normalisation with a weight, a clipped gate and a residual."""

    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x, gate):
        mean_square = torch.pow(x, 2).mean(dim=1, keepdim=True)
        normed = x / torch.sqrt(mean_square + 1e-5)
        weighted = normed * self.weight
        opened = torch.clamp(0.5 + 0.25 * gate, 0.0, 1.0)
        return weighted * opened + x * (1.0 - opened)


def get_inputs():
    return [torch.randn(ROWS, COLS) * torch.logspace(-3, 1, ROWS).unsqueeze(1), 2 * torch.randn(ROWS, COLS)]


def get_init_inputs():
    return [COLS]
