import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.median(x.abs(), dim=1).values
