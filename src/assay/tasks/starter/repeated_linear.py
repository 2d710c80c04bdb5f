import torch
import torch.nn as nn

BATCH = 256
DIM = 256


class Model(nn.Module):
    """A gated activation of one linear layer."""

    def __init__(self, dim):
        super().__init__()
        self.linear = nn.Linear(dim, dim)

    def forward(self, x):
        return torch.sigmoid(self.linear(x)) * torch.tanh(self.linear(x)) + torch.relu(self.linear(x))


def get_inputs():
    return [torch.randn(BATCH, DIM)]


def get_init_inputs():
    return [DIM]
