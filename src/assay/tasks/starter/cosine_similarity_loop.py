import torch
import torch.nn as nn
import torch.nn.functional as F

QUERIES = 96
KEYS = 128
DIM = 64


class Model(nn.Module):
    """Cosine similarity of each query with each key."""

    def forward(self, queries, keys):
        return torch.stack([F.cosine_similarity(keys, query.unsqueeze(0), dim=1) for query in queries])


def get_inputs():
    return [torch.randn(QUERIES, DIM), torch.randn(KEYS, DIM)]


def get_init_inputs():
    return []
