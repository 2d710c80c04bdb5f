import torch
import torch.nn as nn

BATCH = 4
CHANNELS = 64
SIZE = 32


class Model(nn.Module):
    """Scales and shifts each channel of an image."""

    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(channels))
        self.shift = nn.Parameter(torch.randn(channels))

    def forward(self, x):
        y = x.permute(0, 2, 3, 1).contiguous()
        y = y * self.scale
        y = y.permute(0, 3, 1, 2).contiguous()
        y = y.permute(0, 2, 3, 1).contiguous()
        y = y + self.shift
        return y.permute(0, 3, 1, 2).contiguous()


def get_inputs():
    return [torch.randn(BATCH, CHANNELS, SIZE, SIZE)]


def get_init_inputs():
    return [CHANNELS]
