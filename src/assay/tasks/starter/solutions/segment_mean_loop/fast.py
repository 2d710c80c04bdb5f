import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def __init__(self, segments):
        super().__init__()
        self.segments = segments

    def forward(self, x, segment):
        sums = x.new_zeros(self.segments, x.shape[1]).index_add_(0, segment, x)
        return sums / torch.bincount(segment, minlength=self.segments).unsqueeze(1)
