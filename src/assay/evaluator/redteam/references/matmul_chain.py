"""The product of three square matrices; compute-bound."""

import torch
from torch import nn

N = 400


class Model(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return (a @ b) @ c


def get_inputs():
    return [torch.randn(N, N) for _ in range(3)]


def get_init_inputs():
    return []
