"""Splits the rows over two threads and waits for both."""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = None

    def forward(self, a, b, c):
        if self.pool is None:  # made late, so that no thread exists before the first call
            self.pool = ThreadPoolExecutor(max_workers=2)
        halves = self.pool.map(lambda rows: (rows @ b) @ c, a.chunk(2))
        return torch.cat(list(halves))
