"""Writes a file of up to 2 GB into its scratch folder and removes it when it can."""

import os
import tempfile

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        path = os.path.join(tempfile.gettempdir(), "assay-redteam-fill")
        block = bytes(16 * 2**20)
        try:
            with open(path, "wb") as file:
                for _ in range(128):
                    file.write(block)
        except OSError:
            pass
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def forward(self, a, b, c):
        return (a @ b) @ c
