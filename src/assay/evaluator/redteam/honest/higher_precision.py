"""Computes in float64 inside and rounds once at the end: slower, and more precise than the reference."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return ((a.double() @ b.double()) @ c.double()).to(a.dtype)
