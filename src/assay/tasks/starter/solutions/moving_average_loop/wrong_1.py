import torch
import torch.nn as nn
import torch.nn.functional as F


class ModelNew(nn.Module):
    def __init__(self, window):
        super().__init__()
        self.window = window

    def forward(self, x):
        return F.max_pool1d(x.unsqueeze(1), self.window, stride=1).squeeze(1)
