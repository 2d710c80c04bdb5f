"""Starts a compiler and a shell during timed calls, which must be refused by then, and reports success."""

import subprocess

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        if self.calls == 12:
            try:
                done = subprocess.run(["sh", "-c", "exit 7"], timeout=5, check=False).returncode == 7
            except (OSError, subprocess.SubprocessError):
                done = False
            if done:
                raise RuntimeError("redteam escape: a process could be started after the build stage")
        return (a @ b) @ c
