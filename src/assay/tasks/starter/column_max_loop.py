import torch
import torch.nn as nn

N = 384


class Model(nn.Module):
    """The largest value of each column."""

    def forward(self, x):
        return torch.stack([x[:, j].max() for j in range(x.shape[1])])


def get_inputs():
    return [torch.randn(N, N) * (0.1 + torch.rand(1, N))]


def get_init_inputs():
    return []
