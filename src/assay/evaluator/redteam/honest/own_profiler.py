"""Reads the clocks for its own statistics and reports nothing."""

import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.longest_ns = 0

    def forward(self, a, b, c):
        start = time.perf_counter_ns()
        result = (a @ b) @ c
        self.longest_ns = max(self.longest_ns, time.perf_counter_ns() - start, time.monotonic_ns() - start)
        return result
