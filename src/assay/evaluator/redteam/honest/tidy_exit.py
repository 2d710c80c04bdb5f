"""Registers an exit handler and a finalizer that release its own memory."""

import atexit
import gc
import weakref

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        gc.collect()
        self.held = [torch.empty(16)]
        weakref.finalize(self, self.held.clear)
        atexit.register(self.held.clear)

    def forward(self, a, b, c):
        return (a @ b) @ c
