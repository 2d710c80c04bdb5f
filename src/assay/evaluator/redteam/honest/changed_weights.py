"""Folds its parameters into one matrix on every call, and so follows them when they change."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x):
        folded = torch.cat([self.linear.weight, self.linear.bias[:, None]], dim=1)
        wide = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        return nn.functional.gelu(wide @ folded.t())
