import torch
import torch.nn as nn

ROWS = 32
COLS = 2048


class Model(nn.Module):
    """Median of every three neighbours along each row."""

    def forward(self, x):
        windows = torch.stack([x[:, :-2], x[:, 1:-1], x[:, 2:]])
        return torch.sort(windows, dim=0).values[1]


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
