import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def forward(self, x):
        return torch.cumsum(torch.clamp(x, -self.limit, self.limit), dim=1)
