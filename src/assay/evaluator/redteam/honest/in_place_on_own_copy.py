"""Works in place, on its own copy of the input."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        gate = torch.sigmoid(x)
        return gate.add_(0.25).mul_(x)
