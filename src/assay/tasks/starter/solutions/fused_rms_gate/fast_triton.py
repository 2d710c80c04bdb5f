import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def rms_gate(x_ptr, gate_ptr, weight_ptr, out_ptr, cols, BLOCK: tl.constexpr):
    column = tl.arange(0, BLOCK)
    inside = column < cols
    at = tl.program_id(0).to(tl.int64) * cols + column
    x = tl.load(x_ptr + at, mask=inside, other=0.0)
    gate = tl.load(gate_ptr + at, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0)
    inverse = 1.0 / tl.sqrt(tl.sum(x * x, axis=0) / cols + 1e-5)
    opened = tl.minimum(tl.maximum(0.5 + 0.25 * gate, 0.0), 1.0)
    tl.store(out_ptr + at, x * inverse * weight * opened + x * (1.0 - opened), mask=inside)


class ModelNew(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x, gate):
        x, gate = x.contiguous(), gate.contiguous()
        out = torch.empty_like(x)
        rows, cols = x.shape
        rms_gate[(rows,)](x, gate, self.weight, out, cols, BLOCK=triton.next_power_of_2(cols), num_warps=8)
        return out
