import torch
import torch.nn as nn

ROWS = 1024
DIM = 64
PICKS = 512


class Model(nn.Module):
    """The rows of x that index names."""

    def forward(self, x, index):
        return torch.stack([x[i] for i in index])


def get_inputs():
    return [torch.randn(ROWS, DIM), torch.randint(0, ROWS, (PICKS,))]


def get_init_inputs():
    return []
