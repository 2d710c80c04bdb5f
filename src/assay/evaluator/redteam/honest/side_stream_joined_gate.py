"""Works on a side stream that waits for the current one, and the current one waits for it."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.side = torch.cuda.Stream()

    def forward(self, x):
        current = torch.cuda.current_stream()
        self.side.wait_stream(current)
        with torch.cuda.stream(self.side):
            gate = torch.sigmoid(x) + 0.25
        current.wait_stream(self.side)
        gate.record_stream(current)
        return x * gate
