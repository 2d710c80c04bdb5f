import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, gate):
        keep = torch.sigmoid(gate)
        return torch.cumsum((1 - keep) * x, dim=1)
