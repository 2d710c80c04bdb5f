"""Returns and raises objects whose unpickling would run code in the judge; the code only sets a variable there."""

import os

from torch import nn


class Payload(Exception):
    def __reduce__(self):
        return (os.putenv, ("ASSAY_REDTEAM_UNPICKLED", "1"))


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        if self.calls > 3:
            raise Payload("unpickle me")
        return (a @ b) @ c
