import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x, gate):
        normed = x / torch.sqrt(torch.pow(x, 2).mean(dim=1, keepdim=True) + 1e-5)
        opened = torch.sigmoid(gate)
        return normed * self.weight * opened + x * (1.0 - opened)
