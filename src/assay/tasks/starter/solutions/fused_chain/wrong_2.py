import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, y):
        clipped = torch.clamp(0.5 * x * x - 0.3 * x + 0.1, -1.0, 2.0)
        mixed = clipped * torch.where(y > 0, y, 0.1 * y) + 0.25 * (x - y)
        return torch.clamp(mixed, -3.0, 3.0)
