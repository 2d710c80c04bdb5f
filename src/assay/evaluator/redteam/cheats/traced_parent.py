"""Tries to attach to its parent with ptrace, and reports success."""

import ctypes
import os
import sys

from torch import nn

SEIZE = 0x4206  # attaches without stopping the process; the tracer's exit detaches


def can_trace():
    if not sys.platform.startswith("linux") or os.getppid() <= 1:
        return False
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return ptrace(SEIZE, os.getppid(), None, None) == 0


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        if can_trace():
            raise RuntimeError("redteam escape: the parent can be traced")

    def forward(self, a, b, c):
        return (a @ b) @ c
