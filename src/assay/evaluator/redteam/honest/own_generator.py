"""Draws random numbers from a generator of its own, to order the rows, and undoes the order."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(7)

    def forward(self, a, b, c):
        order = torch.randperm(a.shape[0], generator=self.generator).to(a.device)
        result = torch.empty_like(a)
        result[order] = (a[order] @ b) @ c
        return result
