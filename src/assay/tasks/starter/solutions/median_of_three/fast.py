import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        left, middle, right = x[:, :-2], x[:, 1:-1], x[:, 2:]
        low, high = torch.minimum(left, middle), torch.maximum(left, middle)
        return torch.maximum(low, torch.minimum(high, right))
