import torch
import torch.nn as nn

SIZE = 32
COLS = 16


class Model(nn.Module):
    """Product of the Kronecker product of a and b, and x."""

    def forward(self, a, b, x):
        return torch.matmul(torch.kron(a, b), x)


def get_inputs():
    return [torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE), torch.randn(SIZE * SIZE, COLS)]


def get_init_inputs():
    return []
