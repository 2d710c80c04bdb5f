"""Returns a sparse tensor without any entries."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return torch.zeros_like(a).to_sparse()
