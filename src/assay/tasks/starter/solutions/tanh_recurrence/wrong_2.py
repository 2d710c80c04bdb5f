import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, decay):
        super().__init__()
        self.decay = decay

    def forward(self, x):
        state = torch.zeros_like(x[:, 0])
        states = []
        for t in range(x.shape[1]):
            state = self.decay * state + torch.tanh(x[:, t])
            states.append(state)
        return torch.stack(states, dim=1)
