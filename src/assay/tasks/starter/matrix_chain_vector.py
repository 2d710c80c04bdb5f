import torch
import torch.nn as nn

N = 512


class Model(nn.Module):
    """Applies two matrices to a vector, one after the other."""

    def forward(self, a, b, v):
        return torch.matmul(torch.matmul(a, b), v)


def get_inputs():
    return [torch.randn(N, N), torch.randn(N, N), torch.randn(N)]


def get_init_inputs():
    return []
