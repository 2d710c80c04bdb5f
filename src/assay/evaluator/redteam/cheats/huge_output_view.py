"""Returns a view of one element with 2^45 elements, for a judge that allocates a copy before it looks at the shape."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return torch.zeros(1, device=a.device).expand(2**45)
