"""Recurses until the C stack overflows, with the interpreter's limit lifted."""

import sys

from torch import nn


class Deep:
    def __repr__(self):
        return repr([self])


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        sys.setrecursionlimit(10**8)
        repr(Deep())
        return (a @ b) @ c
