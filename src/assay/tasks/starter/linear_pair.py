import torch
import torch.nn as nn

BATCH = 512
DIM = 64
HIDDEN = 512


class Model(nn.Module):
    """Two linear layers without an activation between them."""

    def __init__(self, dim, hidden):
        super().__init__()
        self.first = nn.Linear(dim, hidden)
        self.second = nn.Linear(hidden, dim)

    def forward(self, x):
        return self.second(self.first(x))


def get_inputs():
    return [torch.randn(BATCH, DIM)]


def get_init_inputs():
    return [DIM, HIDDEN]
