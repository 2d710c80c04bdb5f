"""Writes to address zero in its third call."""

import ctypes

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        if self.calls >= 3:
            ctypes.memset(0, 0, 1)
        return (a @ b) @ c
