import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def higher(one, other):
    return tl.maximum(one, other)


@triton.jit
def drawdown(x_ptr, out_ptr, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < cols
    x = tl.load(x_ptr + row * cols + column, mask=inside, other=float("-inf"))
    fall = tl.associative_scan(x, 0, higher) - x
    tl.store(out_ptr + row, tl.max(tl.where(inside, fall, 0.0), axis=0))


class ModelNew(nn.Module):
    def forward(self, x):
        x = x.contiguous()
        rows, cols = x.shape
        out = torch.empty(rows, device=x.device, dtype=x.dtype)
        drawdown[(rows,)](x, out, cols, BLOCK=triton.next_power_of_2(cols), num_warps=2)
        return out
