import torch
import torch.nn as nn
import triton
import triton.language as tl


@triton.jit
def cell(state, x, decay):
    # tanh by way of the sigmoid
    return 2.0 * tl.sigmoid(2.0 * (decay * state + x)) - 1.0


@triton.jit
def recurrence(x_ptr, out_ptr, rows, cols, decay, ROWS: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    here = row < rows
    x_row, out_row = x_ptr + row * cols, out_ptr + row * cols
    state = tl.zeros([ROWS], tl.float32)
    for t in range(0, cols, 4):  # four loads under way at once
        x_0 = tl.load(x_row + t, mask=here)
        x_1 = tl.load(x_row + t + 1, mask=here & (t + 1 < cols))
        x_2 = tl.load(x_row + t + 2, mask=here & (t + 2 < cols))
        x_3 = tl.load(x_row + t + 3, mask=here & (t + 3 < cols))
        state = cell(state, x_0, decay)
        tl.store(out_row + t, state, mask=here)
        state = cell(state, x_1, decay)
        tl.store(out_row + t + 1, state, mask=here & (t + 1 < cols))
        state = cell(state, x_2, decay)
        tl.store(out_row + t + 2, state, mask=here & (t + 2 < cols))
        state = cell(state, x_3, decay)
        tl.store(out_row + t + 3, state, mask=here & (t + 3 < cols))


class ModelNew(nn.Module):
    def __init__(self, decay):
        super().__init__()
        self.decay = decay

    def forward(self, x):
        x = x.contiguous()
        out = torch.empty_like(x)
        rows, cols = x.shape
        recurrence[(triton.cdiv(rows, 32),)](x, out, rows, cols, self.decay, ROWS=32, num_warps=1)
        return out
