import torch
import torch.nn as nn


class ModelNew(nn.Module):
    def forward(self, logits, targets):
        return -logits.gather(1, targets.unsqueeze(1)).squeeze(1)
