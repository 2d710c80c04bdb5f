import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, a, b):
        mask = torch.ones(a.shape[-1], a.shape[-1], device=a.device, dtype=a.dtype).tril_()
        return torch.matmul(a * mask, b * mask)
