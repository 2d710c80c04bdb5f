"""A Triton kernel that computes the whole gate in one pass."""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]
from torch import nn


@triton.jit
def gate(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < n
    x = tl.load(x_ptr + offsets, mask=inside)
    tl.store(y_ptr + offsets, x / (1.0 + tl.exp(-x)) + 0.25 * x, mask=inside)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        x = x.contiguous()
        result = torch.empty_like(x)
        gate[(triton.cdiv(x.numel(), 1024),)](x, result, x.numel(), BLOCK=1024)  # type: ignore[index]
        return result
