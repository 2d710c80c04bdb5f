import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, coefficients):
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x):
        total = torch.full_like(x, self.coefficients[-1])
        for coefficient in reversed(self.coefficients[1:-1]):
            total.mul_(x).add_(coefficient)
        return total
