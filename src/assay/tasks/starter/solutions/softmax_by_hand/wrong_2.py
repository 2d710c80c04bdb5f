import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.sigmoid(x) / torch.sigmoid(x).sum(dim=1, keepdim=True)
