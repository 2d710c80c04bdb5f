import torch
import torch.nn as nn
import torch.nn.functional as F


class ModelNew(nn.Module):
    def forward(self, logits, targets):
        return F.nll_loss(F.log_softmax(logits, dim=0), targets, reduction="none")
