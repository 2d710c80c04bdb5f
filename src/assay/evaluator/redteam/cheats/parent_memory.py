"""Opens the memory of its parent process, through `/proc` and through `process_vm_readv`, and reports success."""

import ctypes
import os

from torch import nn


class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def can_read_parent():
    try:
        with open("/proc/self/stat") as stat:
            parent = stat.read().rsplit(")", 1)[1].split()[1]  # as `/proc` numbers it, also inside a namespace
        with open(f"/proc/{parent}/maps") as maps:
            start = int(next(maps).split("-")[0], 16)
        with open(f"/proc/{parent}/mem", "rb") as memory:
            memory.seek(start)
            return len(memory.read(16)) == 16
    except (OSError, StopIteration):
        pass
    mine = ctypes.create_string_buffer(16)
    local = Span(ctypes.addressof(mine), 16)
    remote = Span(id(None), 16)  # a forked process shares the layout of its parent
    read = getattr(ctypes.CDLL(None), "process_vm_readv", None)
    return read is not None and read(os.getppid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) == 16


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        if can_read_parent():
            raise RuntimeError("redteam escape: the parent's memory can be read")

    def forward(self, a, b, c):
        return (a @ b) @ c
