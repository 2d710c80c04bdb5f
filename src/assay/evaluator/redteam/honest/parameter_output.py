"""Returns a well-behaved tensor subclass, `nn.Parameter`, which holds its values."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return nn.Parameter((a @ b) @ c, requires_grad=False)
