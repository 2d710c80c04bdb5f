import torch
import torch.nn as nn

ROWS = 32
COLS = 256
WINDOW = 16


class Model(nn.Module):
    """Mean of every window along each row."""

    def __init__(self, window):
        super().__init__()
        self.window = window

    def forward(self, x):
        steps = x.shape[1] - self.window + 1
        return torch.stack([x[:, t : t + self.window].mean(dim=1) for t in range(steps)], dim=1)


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return [WINDOW]
