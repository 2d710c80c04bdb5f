import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, decay):
        super().__init__()
        self.decay = decay

    def forward(self, x):
        return torch.tanh(x)
