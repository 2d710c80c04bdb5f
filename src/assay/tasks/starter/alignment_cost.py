import torch
import torch.nn as nn

BATCH = 16
STEPS = 16


class Model(nn.Module):
    """Dynamic time warping cost of each pair of series."""

    def forward(self, x, y):
        steps = x.shape[1]
        cost = torch.abs(x.unsqueeze(2) - y.unsqueeze(1))
        far = torch.full_like(x[:, 0], 1e9)
        previous = [torch.zeros_like(far)] + [far] * steps
        for i in range(steps):
            current = [far]
            for j in range(steps):
                best = torch.minimum(torch.minimum(previous[j], previous[j + 1]), current[j])
                current.append(cost[:, i, j] + best)
            previous = current
        return previous[-1]


def get_inputs():
    return [torch.cumsum(torch.randn(BATCH, STEPS), dim=1), torch.cumsum(torch.randn(BATCH, STEPS), dim=1)]


def get_init_inputs():
    return []
