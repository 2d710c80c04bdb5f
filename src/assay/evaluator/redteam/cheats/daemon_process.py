"""Leaves a daemon behind by a double fork with a session of its own; the daemon burns a core for five seconds."""

import os
import time

from torch import nn


def leave_daemon():
    try:
        child = os.fork()
    except OSError:
        return
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            end = time.monotonic() + 5
            while time.monotonic() < end:
                pass
    finally:
        os._exit(0)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        leave_daemon()

    def forward(self, a, b, c):
        return (a @ b) @ c
