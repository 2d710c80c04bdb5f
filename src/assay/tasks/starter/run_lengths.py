import torch
import torch.nn as nn

ROWS = 64
COLS = 192


class Model(nn.Module):
    """How many positive values in a row end at each place."""

    def forward(self, x):
        run = torch.zeros_like(x[:, 0])
        runs = []
        for t in range(x.shape[1]):
            run = (run + 1) * (x[:, t] > 0)
            runs.append(run)
        return torch.stack(runs, dim=1)


def get_inputs():
    return [0.7 + torch.randn(ROWS, COLS)]


def get_init_inputs():
    return []
