"""Computes honestly and then refuses to exit for a minute: an exit handler, a finalizer and a non-daemon thread."""

import atexit
import threading
import time

from torch import nn

atexit.register(time.sleep, 60)
threading.Thread(target=time.sleep, args=(60,), daemon=False).start()


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def __del__(self):
        time.sleep(60)

    def forward(self, a, b, c):
        return (a @ b) @ c
