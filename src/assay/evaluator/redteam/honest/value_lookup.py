"""Memoises inside one call only: repeated work on the same input is shared, and forgotten at the end."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        memo = {}

        def gate(y):
            if id(y) not in memo:
                memo[id(y)] = torch.sigmoid(y)
            return memo[id(y)]

        return x * gate(x) + 0.25 * x
