import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, length):
        return x.mean(dim=1)
