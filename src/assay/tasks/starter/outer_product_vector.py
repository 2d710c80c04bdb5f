import torch
import torch.nn as nn

BATCH = 32
N = 192


class Model(nn.Module):
    """Applies the outer product of u and v to w, for each row of the batch."""

    def forward(self, u, v, w):
        outer = u.unsqueeze(2) * v.unsqueeze(1)
        return torch.matmul(outer, w.unsqueeze(2)).squeeze(2)


def get_inputs():
    return [torch.randn(BATCH, N), torch.randn(BATCH, N), torch.randn(BATCH, N)]


def get_init_inputs():
    return []
