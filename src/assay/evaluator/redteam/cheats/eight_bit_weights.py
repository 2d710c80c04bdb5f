"""Rounds its weights to eight bits."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, x):
        scale = self.linear.weight.abs().max() / 127
        weight = (self.linear.weight / scale).round() * scale
        return nn.functional.gelu(nn.functional.linear(x, weight, self.linear.bias))
