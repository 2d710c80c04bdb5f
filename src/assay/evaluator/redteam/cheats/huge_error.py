"""Raises an exception with a message of 100 MB."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        raise ValueError("x" * 100_000_000)
