"""Writes a small temporary file of its own, reads it back, and removes it."""

import json
import os
import tempfile

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        handle, path = tempfile.mkstemp(suffix=".json")
        with os.fdopen(handle, "w+") as file:
            json.dump({"order": "left"}, file)
            file.seek(0)
            self.is_left_first = json.load(file)["order"] == "left"
        os.unlink(path)

    def forward(self, a, b, c):
        return (a @ b) @ c if self.is_left_first else a @ (b @ c)
