"""Splits the inner dimension into blocks and adds them all; only the order of additions differs."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        inner = a @ b
        blocks = zip(inner.chunk(4, dim=1), c.chunk(4, dim=0), strict=True)
        first, rest = next(blocks), list(blocks)
        result = first[0] @ first[1]
        for left, right in rest:
            result.addmm_(left, right)
        return result
