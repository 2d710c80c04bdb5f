import torch
import torch.nn as nn

BATCH = 512
N = 16


class Model(nn.Module):
    """Product of the lower triangles of two matrices."""

    def forward(self, a, b):
        mask = torch.tril(torch.ones_like(a))
        product = torch.matmul(a * mask, b * mask)
        return torch.tril(product * mask)


def get_inputs():
    return [torch.randn(BATCH, N, N), torch.randn(BATCH, N, N)]


def get_init_inputs():
    return []
