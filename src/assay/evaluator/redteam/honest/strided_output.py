"""Gives the right values in a transposed memory layout."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return (c.t() @ (b.t() @ a.t())).t()
