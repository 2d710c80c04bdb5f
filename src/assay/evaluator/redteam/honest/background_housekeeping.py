"""A background thread that sleeps between rare, tiny steps of bookkeeping and never touches a tensor."""

import threading
import time

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.beats = 0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self):
        for _ in range(600):
            time.sleep(0.1)
            self.beats += 1

    def forward(self, a, b, c):
        return (a @ b) @ c
