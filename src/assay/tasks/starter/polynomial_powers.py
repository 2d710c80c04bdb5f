import torch
import torch.nn as nn

ROWS = 256
COLS = 512


class Model(nn.Module):
    """A polynomial of each element."""

    def __init__(self, coefficients):
        super().__init__()
        self.coefficients = coefficients

    def forward(self, x):
        total = torch.zeros_like(x)
        for power, coefficient in enumerate(self.coefficients):
            total = total + coefficient * torch.pow(x, power)
        return total


def get_inputs():
    return [torch.randn(ROWS, COLS)]


def get_init_inputs():
    return [[0.5, -1.0, 0.25, 0.3, -0.1, 0.05, -0.02]]
