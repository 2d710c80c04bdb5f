"""Log-probabilities of given tokens without the logits of all of them in memory at once.

Axes: N tokens, E width of the hidden states, V vocabulary. The logits of 4,096 tokens over a vocabulary of 150,000 are
2.5 GB in float32, and a backward pass holds them several times. Here they exist for a part of the tokens at a time, and
are computed again when their gradient is asked for.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

CHUNK = 1024


def chosen_logprobs(output: Any, hidden_NE: Tensor, targets_N: Tensor) -> Tensor:
    """The log softmax of `output(hidden_NE)` at `targets_N`: float32, (N,), with gradient to the hidden states."""
    if len(targets_N) <= CHUNK:
        return _chosen(output, hidden_NE, targets_N)
    parts: list[Any] = [
        checkpoint(_chosen, output, hidden, targets, use_reentrant=False)
        for hidden, targets in zip(hidden_NE.split(CHUNK), targets_N.split(CHUNK), strict=True)
    ]
    return torch.cat(parts)


def listed_logprobs(output: Any, hidden_NE: Tensor, tokens_NK: Tensor) -> Tensor:
    """The log softmax of `output(hidden_NE)` at K tokens of each place: float32, (N, K), with gradient."""
    if len(tokens_NK) <= CHUNK:
        return _listed(output, hidden_NE, tokens_NK)
    parts: list[Any] = [
        checkpoint(_listed, output, hidden, tokens, use_reentrant=False)
        for hidden, tokens in zip(hidden_NE.split(CHUNK), tokens_NK.split(CHUNK), strict=True)
    ]
    return torch.cat(parts)


# Hidden states and logits may lie on another device than the tokens, where a model is spread over several.


def _listed(output: Any, hidden_NE: Tensor, tokens_NK: Tensor) -> Tensor:
    logits_NV = output(hidden_NE).float()
    return logits_NV.gather(-1, tokens_NK.to(logits_NV.device)) - logits_NV.logsumexp(dim=-1, keepdim=True)


def _chosen(output: Any, hidden_NE: Tensor, targets_N: Tensor) -> Tensor:
    logits_NV = output(hidden_NE).float()
    return -torch.nn.functional.cross_entropy(logits_NV, targets_N.to(logits_NV.device), reduction="none")
