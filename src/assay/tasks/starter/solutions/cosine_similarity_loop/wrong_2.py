import torch
import torch.nn as nn
import torch.nn.functional as F


class ModelNew(nn.Module):
    def forward(self, queries, keys):
        return torch.matmul(F.normalize(queries, dim=1), keys.t()) / keys.shape[1]
