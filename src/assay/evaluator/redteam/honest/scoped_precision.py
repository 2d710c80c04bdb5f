"""Sets full float32 precision for its own products and puts the setting back."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            return (a @ b) @ c
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
