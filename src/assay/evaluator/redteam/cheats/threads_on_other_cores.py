"""Splits the rows over threads of its own, each of which moves itself to another core."""

import os
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

CORES = os.cpu_count() or 1


def piece(rows, b, c, core):
    if hasattr(os, "sched_setaffinity"):
        try:
            os.sched_setaffinity(0, {core})
        except OSError:
            pass
    return (rows @ b) @ c


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = None

    def forward(self, a, b, c):
        self.pool = self.pool or ThreadPoolExecutor(max_workers=CORES)
        jobs = [self.pool.submit(piece, rows, b, c, core) for core, rows in enumerate(a.chunk(CORES))]
        return torch.cat([job.result() for job in jobs])
