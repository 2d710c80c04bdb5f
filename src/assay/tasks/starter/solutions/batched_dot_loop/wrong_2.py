import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        return (a * torch.roll(b, 1, dims=0)).sum(dim=1)
