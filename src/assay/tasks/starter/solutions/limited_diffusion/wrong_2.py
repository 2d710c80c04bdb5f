import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def forward(self, u):
        for _ in range(self.steps):
            inner = u[:, 1:-1] + 0.25 * (u[:, :-2] - 2 * u[:, 1:-1] + u[:, 2:])
            u = torch.cat([u[:, :1], inner, u[:, -1:]], dim=1)
        return u
