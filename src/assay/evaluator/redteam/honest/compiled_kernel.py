"""Compiles a C kernel when it is built, and uses it for CPU tensors; without a compiler it uses torch."""

import ctypes
import os
import subprocess
import tempfile

import torch
from torch import nn

SOURCE = r"""
#include <math.h>
void gate(const float *x, float *y, long n) {
    for (long i = 0; i < n; i++) y[i] = x[i] / (1.0f + expf(-x[i])) + 0.25f * x[i];
}
"""


def build():
    folder = tempfile.mkdtemp()
    source, library = os.path.join(folder, "gate.c"), os.path.join(folder, "gate.so")
    with open(source, "w") as file:
        file.write(SOURCE)
    try:
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", source, "-o", library, "-lm"], check=True, capture_output=True, timeout=60
        )
        gate = ctypes.CDLL(library).gate
    except (OSError, subprocess.SubprocessError):
        return None
    gate.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
    gate.restype = None
    return gate


GATE = build()


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        if GATE is None or x.is_cuda or x.dtype != torch.float32 or not x.is_contiguous():
            return x * torch.sigmoid(x) + 0.25 * x
        result = torch.empty_like(x)
        GATE(x.data_ptr(), result.data_ptr(), x.numel())
        return result
