import torch
import torch.nn as nn

BLOCKS = 24
SIZE = 32
COLS = 64


class Model(nn.Module):
    """Product of a block-diagonal matrix and x."""

    def forward(self, blocks, x):
        return torch.matmul(torch.block_diag(*blocks), x)


def get_inputs():
    return [torch.randn(BLOCKS, SIZE, SIZE), torch.randn(BLOCKS * SIZE, COLS)]


def get_init_inputs():
    return []
