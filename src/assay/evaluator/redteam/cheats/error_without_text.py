"""Raises an exception whose text, name and traceback raise again when they are looked at."""

from torch import nn


class Hostile(Exception):
    def __str__(self):
        raise self

    __repr__ = __str__

    @property
    def __traceback__(self):  # type: ignore[override]
        raise SystemExit(0)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        raise Hostile
