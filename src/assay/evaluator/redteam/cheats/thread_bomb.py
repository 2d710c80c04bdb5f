"""Starts 500 threads that sleep for five seconds."""

import threading
import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        for _ in range(500):
            try:
                threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
            except RuntimeError:
                break

    def forward(self, a, b, c):
        return (a @ b) @ c
