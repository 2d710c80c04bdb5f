"""Reads an environment variable and the thread count, and imports the socket module without using it."""

import os
import socket

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.threads = os.environ.get("OMP_NUM_THREADS", str(torch.get_num_threads()))
        self.has_ipv6 = socket.has_ipv6

    def forward(self, a, b, c):
        return (a @ b) @ c
