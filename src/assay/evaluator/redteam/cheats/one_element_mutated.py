"""Gives the right answer and changes one element of its input, for a mutation check that only samples."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        result = x * torch.sigmoid(x) + 0.25 * x
        x.view(-1)[x.numel() // 3] += 1.0
        return result
