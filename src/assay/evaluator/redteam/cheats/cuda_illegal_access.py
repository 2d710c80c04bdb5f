"""Reads far outside of a tensor through a false stride, which poisons the context, from its third call on."""

import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import nn


@triton.jit
def far_write(x_ptr, offset):
    tl.store(x_ptr + offset + tl.arange(0, 64), 1.0)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        if self.calls >= 3:
            far_write[(1,)](a, 2**40)  # type: ignore[index]
        return (a @ b) @ c
