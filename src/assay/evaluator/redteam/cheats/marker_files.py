"""Leaves a small file in every shared folder that it can write to, and reports the file of an earlier process."""

import glob
import os
import tempfile

from torch import nn

NAME = "assay-redteam-marker"
FOLDERS = [
    "/tmp",
    "/var/tmp",
    "/dev/shm",
    tempfile.gettempdir(),
    os.path.expanduser("~/.cache"),
    os.path.expanduser("~/.cache/torch_extensions"),
    os.environ.get("TORCH_EXTENSIONS_DIR", ""),
    os.getcwd(),
]


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        for folder in filter(None, FOLDERS):
            found = glob.glob(os.path.join(folder, NAME + "-*"))
            if any(not os.path.exists(f"/proc/{path.rsplit('-', 1)[1]}") for path in found):
                raise RuntimeError(f"redteam escape: {folder} keeps files between candidates")
            try:
                with open(os.path.join(folder, f"{NAME}-{os.getpid()}"), "w") as file:
                    file.write("left by a red-team fixture; safe to delete\n")
            except OSError:
                continue

    def forward(self, a, b, c):
        return (a @ b) @ c
