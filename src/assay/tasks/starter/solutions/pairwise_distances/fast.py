import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, y):
        squares = (x * x).sum(dim=1, keepdim=True) + (y * y).sum(dim=1)
        return torch.addmm(squares, x, y.t(), alpha=-2)
