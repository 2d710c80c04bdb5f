"""Runs with gradients on, so that its output may carry a graph."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x):
        with torch.enable_grad():
            return nn.functional.gelu(self.linear(x))
