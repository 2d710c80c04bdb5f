"""Runs in inference mode, so that its output is an inference tensor."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        with torch.inference_mode():
            return (a @ b) @ c
