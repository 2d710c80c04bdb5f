"""Changes its input from a thread, a few milliseconds after it returned."""

import threading
import time

import torch
from torch import nn


def spoil(x):
    time.sleep(0.005)
    x.zero_()


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        result = x * torch.sigmoid(x) + 0.25 * x
        threading.Thread(target=spoil, args=(x,), daemon=True).start()
        return result
