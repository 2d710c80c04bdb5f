"""Caches a plan by the shape, dtype and device of its input, never by its values."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.plans = {}

    def forward(self, a, b, c):
        key = (tuple(a.shape), a.dtype, a.device)
        if key not in self.plans:
            self.plans[key] = [(rows[0].item(), rows[-1].item() + 1) for rows in torch.arange(len(a)).chunk(2)]
        return torch.cat([(a[start:end] @ b) @ c for start, end in self.plans[key]])
