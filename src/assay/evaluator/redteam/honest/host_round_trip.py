"""Sends its small second output through pinned host memory, waits, and brings it back."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        spread = x.std(dim=-1)
        pinned = torch.empty(spread.shape, dtype=spread.dtype, pin_memory=True)
        pinned.copy_(spread, non_blocking=True)
        torch.cuda.current_stream().synchronize()
        return x - x.mean(dim=-1, keepdim=True), pinned.to(x.device)
