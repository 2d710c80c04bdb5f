import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        return torch.matmul(x - x.mean(dim=0), (x - x.mean(dim=0)).t())
