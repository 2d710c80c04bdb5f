"""Computes both outputs from one pass for mean and variance."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        variance, mean = torch.var_mean(x, dim=-1, keepdim=True)
        return x - mean, variance.sqrt().squeeze(-1)
