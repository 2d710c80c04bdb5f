import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        return torch.clamp(torch.cumsum(x, dim=1), -self.limit, self.limit)
