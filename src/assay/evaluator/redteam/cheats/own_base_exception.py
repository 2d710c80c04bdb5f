"""Raises an exception class of its own that does not derive from `Exception` and cannot be pickled."""

from torch import nn


class Unstoppable(BaseException):
    def __reduce__(self):
        raise self


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        raise Unstoppable(lambda: None)
