"""Copies the input by the copy engine on another stream, which a spin on the processors does not hold back."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.side = torch.cuda.Stream(priority=-1)
        self.room = None

    def forward(self, x):
        if self.room is None:
            self.room = torch.empty_like(x)
        with torch.cuda.stream(self.side):
            self.room.copy_(x, non_blocking=True)
        torch.cuda.current_stream().wait_stream(self.side)
        return x * torch.sigmoid(x) + 0.25 * self.room
