import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def later(one, other):
    return tl.maximum(one, other)


@triton.jit
def lengths(x_ptr, out_ptr, cols, BLOCK: tl.constexpr):
    column = tl.arange(0, BLOCK)
    inside = column < cols
    at = tl.program_id(0).to(tl.int64) * cols + column
    x = tl.load(x_ptr + at, mask=inside, other=0.0)
    place = column + 1
    last_stop = tl.associative_scan(tl.where(x > 0, 0, place), 0, later)
    tl.store(out_ptr + at, (place - last_stop).to(tl.float32), mask=inside)


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        rows, cols = x.shape
        lengths[(rows,)](x, out, cols, BLOCK=triton.next_power_of_2(cols), num_warps=2)
        return out
