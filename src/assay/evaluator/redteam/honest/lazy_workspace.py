"""Allocates a 64 MB workspace at the first call and uses it in every call."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.workspace = None

    def forward(self, a, b, c):
        if self.workspace is None:
            self.workspace = torch.empty(16 * 1024 * 1024, dtype=a.dtype, device=a.device)
        fits = a.numel() <= self.workspace.numel()
        room = self.workspace[: a.numel()].view_as(a) if fits else torch.empty_like(a)
        return torch.mm(a, b, out=room) @ c
