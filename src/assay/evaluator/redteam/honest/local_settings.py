"""Changes gradient mode, default dtype and warnings inside the call, and puts them back."""

import warnings

import torch
from torch import nn


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, a, b, c):
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return (a @ b) @ c
        finally:
            torch.set_default_dtype(before)
