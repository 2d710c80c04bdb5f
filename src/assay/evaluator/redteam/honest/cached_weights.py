"""Keeps a transposed copy of its weights until they change; never keeps anything of an input."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        self.key = None
        self.transposed = torch.empty(0)

    def forward(self, x):
        weight = self.linear.weight
        key = (weight.data_ptr(), weight._version, weight.device)
        if key != self.key:
            self.key, self.transposed = key, weight.detach().t().contiguous()
        return nn.functional.gelu(torch.addmm(self.linear.bias, x, self.transposed))
