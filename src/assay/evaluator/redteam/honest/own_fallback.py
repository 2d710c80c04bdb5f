"""Tries a fused call and falls back to its own plain code when the call does not exist."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        try:
            return torch.linalg.multi_dot([a, b, c])
        except (AttributeError, RuntimeError):
            return (a @ b) @ c
