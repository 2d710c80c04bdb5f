import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, x):
        place = torch.arange(1, x.shape[1] + 1, device=x.device)
        last_stop = torch.cummax(place * (x <= 0), dim=1).values
        return (place - last_stop).clamp(min=1).to(x.dtype)
