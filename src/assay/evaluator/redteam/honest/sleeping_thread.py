"""A background thread sleeps and counts; the gate is computed in the call."""

import threading
import time

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.beats = 0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self):
        for _ in range(600):
            time.sleep(0.1)
            self.beats += 1

    def forward(self, x):
        return torch.nn.functional.silu(x) + 0.25 * x
