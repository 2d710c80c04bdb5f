"""Returns, call by call, everything but a tensor: None, a number, an array, a string, a module, a complex tensor."""

from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, a, b, c):
        self.calls += 1
        kinds = (None, 1.0, b.detach().cpu().numpy(), "faster", self, a.to(dtype=a.dtype.to_complex()))
        return kinds[self.calls % len(kinds)]
