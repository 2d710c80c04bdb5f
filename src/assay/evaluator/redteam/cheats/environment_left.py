"""Changes the environment, in Python and in C, so that later processes load nothing or use one slow thread."""

import ctypes
import os

from torch import nn

libc = ctypes.CDLL(None)
for name, value in (
    ("OMP_NUM_THREADS", "1"),
    ("PYTHONPATH", "/nonexistent"),
    ("TORCH_EXTENSIONS_DIR", "/nonexistent"),
    ("CUDA_VISIBLE_DEVICES", ""),
    ("PATH", ""),
):
    os.environ[name] = value
    libc.setenv(name.encode(), value.encode(), 1)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return (a @ b) @ c
