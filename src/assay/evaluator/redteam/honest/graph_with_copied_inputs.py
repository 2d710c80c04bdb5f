"""Replays a CUDA graph after copying the inputs of this call into the graph's own buffers."""

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.graph = None

    def forward(self, a, b, c):
        if self.graph is None:
            self.static = [torch.empty_like(x) for x in (a, b, c)]
            torch.mm(self.static[0], self.static[1])  # warms the library up before the capture
            torch.cuda.synchronize()
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.result = (self.static[0] @ self.static[1]) @ self.static[2]
        for own, given in zip(self.static, (a, b, c), strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.result
