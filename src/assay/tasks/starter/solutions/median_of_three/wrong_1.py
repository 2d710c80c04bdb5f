import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        return (x[:, :-2] + x[:, 1:-1] + x[:, 2:]) / 3
