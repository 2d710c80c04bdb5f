import torch
import torch.nn as nn

ROWS = 384
COLS = 32


class Model(nn.Module):
    """Population variance of each row."""

    def forward(self, x):
        variances = []
        for row in x:
            centred = row - row.mean()
            variances.append((centred * centred).mean())
        return torch.stack(variances)


def get_inputs():
    return [torch.randn(ROWS, 1) + torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
