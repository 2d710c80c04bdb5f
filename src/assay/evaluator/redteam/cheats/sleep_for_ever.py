"""Sleeps in its first call, without using any processor time."""

import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        time.sleep(120)
        raise RuntimeError("nobody ended the sleep")
