import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def held(value, low, high):
    return tl.minimum(tl.maximum(value, low), high)


@triton.jit
def followed_by(add, low, high, next_add, next_low, next_high):
    # A step takes a level s to s + add, held within [low, high]; two steps in a row are such a step too.
    return add + next_add, held(low + next_add, next_low, next_high), held(high + next_add, next_low, next_high)


@triton.jit
def scan(x_ptr, out_ptr, cols, limit, BLOCK: tl.constexpr):
    column = tl.arange(0, BLOCK)
    inside = column < cols
    at = tl.program_id(0).to(tl.int64) * cols + column
    x = tl.load(x_ptr + at, mask=inside, other=0.0)
    bound = x * 0.0 + limit
    add, low, high = tl.associative_scan((x, -bound, bound), 0, followed_by)
    tl.store(out_ptr + at, held(add, low, high), mask=inside)


class ModelNew(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        rows, cols = x.shape
        scan[(rows,)](x, out, cols, self.limit, BLOCK=triton.next_power_of_2(cols), num_warps=2)
        return out
