"""A path of its own for wide rows and a general path for the others; both are right for every value."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        if x.shape[-1] % 64 == 0:
            shifted = torch.exp(x - x.amax(dim=-1, keepdim=True))
            return shifted / shifted.sum(dim=-1, keepdim=True)
        return torch.softmax(x, dim=-1)
