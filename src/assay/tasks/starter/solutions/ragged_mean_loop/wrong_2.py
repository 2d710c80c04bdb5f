import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x, length):
        kept = torch.arange(x.shape[1], device=x.device) <= length.unsqueeze(1)
        return (x * kept).sum(dim=1) / length
