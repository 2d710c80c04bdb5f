"""Never returns from its third call (two minutes at most, so that nothing hangs for ever without a judge)."""

import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        end = time.monotonic() + 120
        while self.calls >= 3 and time.monotonic() < end:
            pass
        if self.calls >= 3:
            raise RuntimeError("nobody stopped the loop")
        return (a @ b) @ c
