import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, scale, x):
        return scale * x
