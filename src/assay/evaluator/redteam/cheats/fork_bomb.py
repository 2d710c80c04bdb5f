"""Forks until there are 200 processes or it may not; each ends by itself after five seconds."""

import os
import signal
import time

from torch import nn


def bomb():
    for _ in range(200):
        try:
            child = os.fork()
        except OSError:
            return
        if child == 0:
            signal.alarm(5)
            time.sleep(5)
            os._exit(0)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        bomb()

    def forward(self, a, b, c):
        return (a @ b) @ c
