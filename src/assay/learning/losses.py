"""Policy-gradient losses, as sums over the tokens that are learned from.

Axes: N completion tokens, of any number of completions, one after another. All arguments are float tensors of shape
(N,): lp_theta with gradient, lp_behaviour (raw log-probabilities when the token was drawn), advantages, and mask, which
is 0 where a token is left out. rho = exp(lp_theta - lp_behaviour). Each function returns a scalar, and is a sum and not
a mean, so that a step does not depend on how items were batched.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from assay.core.protocols import LossName

CLIP_LOW = 0.8
CLIP_HIGH = 1.2

Loss = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def importance_sampling(lp_theta: Tensor, lp_behaviour: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """-sum rho A: the off-policy policy gradient; at rho = 1 its gradient is that of -sum A lp (Williams, 1992)."""
    return -(_ratio(lp_theta, lp_behaviour) * advantages * mask).sum()


def ppo(lp_theta: Tensor, lp_behaviour: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """-sum min(rho A, clip(rho, 0.8, 1.2) A) (Schulman et al., arXiv 1707.06347): no gain from leaving the range."""
    rho = _ratio(lp_theta, lp_behaviour)
    clipped = rho.clamp(CLIP_LOW, CLIP_HIGH)
    return -(torch.minimum(rho * advantages, clipped * advantages) * mask).sum()


def cispo(lp_theta: Tensor, lp_behaviour: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """-sum sg(clip(rho)) A lp (MiniMax-M1, arXiv 2506.13585): the weight is clipped, no token loses its gradient."""
    weight = _ratio(lp_theta, lp_behaviour).clamp(CLIP_LOW, CLIP_HIGH).detach()
    return -(weight * lp_theta * advantages * mask).sum()


def cross_entropy(lp_theta: Tensor, lp_behaviour: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
    """-sum w lp with w = `advantages`; the behaviour log-probabilities play no part."""
    return -(advantages * lp_theta * mask).sum()


LOSSES: dict[LossName, Loss] = {
    "importance_sampling": importance_sampling,
    "ppo": ppo,
    "cispo": cispo,
    "cross_entropy": cross_entropy,
}


def _ratio(lp_theta: Tensor, lp_behaviour: Tensor) -> Tensor:
    return torch.exp(lp_theta - lp_behaviour)
