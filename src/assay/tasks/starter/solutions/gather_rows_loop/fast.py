import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, index):
        return x[index]
