import torch
import torch.nn as nn
import torch.nn.functional as F

VOCABULARY = 512
DIM = 128
TOKENS = 512


class Model(nn.Module):
    """Looks up one row of the table for each token."""

    def __init__(self, vocabulary, dim):
        super().__init__()
        self.table = nn.Parameter(torch.randn(vocabulary, dim))

    def forward(self, tokens):
        one_hot = F.one_hot(tokens, self.table.shape[0]).to(self.table.dtype)
        return torch.matmul(one_hot, self.table)


def get_inputs():
    return [torch.randint(0, VOCABULARY, (TOKENS,))]


def get_init_inputs():
    return [VOCABULARY, DIM]
