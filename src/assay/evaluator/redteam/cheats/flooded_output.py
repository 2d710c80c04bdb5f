"""Writes 500 MB to each of its standard streams."""

import os

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        block = b"x" * 2**20
        for fd in (1, 2):
            try:
                for _ in range(500):
                    os.write(fd, block)
            except OSError:
                pass

    def forward(self, a, b, c):
        return (a @ b) @ c
