import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim))

    def forward(self, x, gate):
        normed = x / torch.sqrt(torch.pow(x, 2).mean(dim=1, keepdim=True))
        opened = torch.clamp(0.5 + 0.25 * gate, 0.0, 1.0)
        return normed * self.weight * opened + x * (1.0 - opened)
