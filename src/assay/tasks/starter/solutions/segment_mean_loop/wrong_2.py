import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, segments):
        super().__init__()
        self.segments = segments

    def forward(self, x, segment):
        return torch.stack([x[segment == s].amax(dim=0) for s in range(self.segments)])
