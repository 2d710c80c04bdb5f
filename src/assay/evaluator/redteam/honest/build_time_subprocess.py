"""Asks the compiler for its version when it is imported, and goes on without one."""

import subprocess

from torch import nn

try:
    COMPILER = subprocess.run(["cc", "--version"], capture_output=True, text=True, timeout=30).stdout
except (OSError, subprocess.SubprocessError):
    COMPILER = ""


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        return (a @ b) @ c
