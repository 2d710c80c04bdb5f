"""Uses another formula for the same values, right for both signs."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        inner = torch.where(x >= 0, 1.5 * x, -0.5 * x)
        return torch.tanh(inner) * torch.exp(-(x**2))
