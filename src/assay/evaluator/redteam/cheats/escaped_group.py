"""Leaves its process group, closes nothing, and then sleeps, so that killing the group does not end it."""

import os
import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        try:
            if os.fork() > 0:
                time.sleep(60)
            os.setsid()
        except OSError:
            pass
        time.sleep(60)
        os._exit(0)
