"""Leaves 5,000 empty files in its scratch folder and opens as many descriptors as it may."""

import os
import tempfile

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        folder = os.path.join(tempfile.gettempdir(), f"assay-redteam-many-{os.getpid()}")
        self.open = []
        try:
            os.makedirs(folder, exist_ok=True)
            for i in range(5000):
                self.open.append(os.open(os.path.join(folder, str(i)), os.O_CREAT | os.O_WRONLY))
        except OSError:
            pass

    def forward(self, a, b, c):
        return (a @ b) @ c
