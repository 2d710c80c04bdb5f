"""Advantages: how much better a sample did than others, from the rewards of its group.

Axis suffixes: P tasks (groups), G samples of a task.

| name | advantage | source |
|---|---|---|
| `group_center` | r - mean | Liu et al., arXiv 2503.20783 (Dr. GRPO) |
| `grpo` | (r - mean) / (std + 1e-6) | Shao et al., arXiv 2402.03300 |
| `rloo` | G / (G - 1) (r - mean), which is r - mean of the others | Ahmadian et al., arXiv 2402.14740 |
| `global` | (r - mean of all) / max(std of all, 1e-6) | Barnes 2026, batch test-time training |
| `entropic` | w - 1, w = e / mean of the others' e, e = exp(beta (r - max r)) | TTT-Discover, arXiv 2601.16175 |

Standard deviations have n - 1 in the denominator. A group of equal rewards has exactly 0 everywhere, and so gives
nothing to learn from; only `global` compares across tasks, where such a group counts by how easy its task is, which is
kept for comparison with published runs.
"""

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.core.errors import UsageError
from assay.learning.names import ENTROPIC_MIN_GROUP, AdvantageName

Floats = NDArray[np.float64]

ENTROPIC_KL = log(2)
ENTROPIC_MAX_BETA = 1e6
_EPSILON = 1e-6
_BISECTIONS = 80


def advantages(name: AdvantageName, rewards_PG: ArrayLike) -> Floats:
    """Advantages of shape (P, G), float64, from rewards of that shape.

    UsageError for `entropic` with fewer than 4 samples a task; ValueError for rewards that are not finite.
    """
    rewards_PG = np.asarray(rewards_PG, float)
    if rewards_PG.ndim != 2 or not np.isfinite(rewards_PG).all():
        raise ValueError(f"advantages need finite rewards of shape (P, G), not {rewards_PG.shape}")
    if name == "entropic" and rewards_PG.shape[1] < ENTROPIC_MIN_GROUP:
        raise UsageError(
            f"entropic advantages of {rewards_PG.shape[1]} samples a task: it takes at least {ENTROPIC_MIN_GROUP}"
        )
    if rewards_PG.size == 0 or np.ptp(rewards_PG) == 0:
        return np.zeros_like(rewards_PG)
    if name == "global":
        return (rewards_PG - rewards_PG.mean()) / max(float(rewards_PG.std(ddof=1)), _EPSILON)
    found_PG = np.zeros_like(rewards_PG)
    for p, rewards_G in enumerate(rewards_PG):
        if np.ptp(rewards_G) > 0:  # by rounding, r - mean need not be 0 where all r are equal
            found_PG[p] = _of_group(name, rewards_G)
    return found_PG


def is_constant(rewards_PG: ArrayLike) -> NDArray[np.bool_]:
    """Which groups have equal rewards, shape (P,)."""
    return np.ptp(np.asarray(rewards_PG, float), axis=1) == 0


def entropic_beta(rewards_G: ArrayLike) -> float:
    """The beta with KL(softmax(beta r) || uniform) = ln 2, by doubling and bisection; at most 1e6.

    The divergence grows with beta up to ln(G / number of highest rewards). Where that is less than ln 2 (more than half
    of the group is best), and where rewards differ by less than about 1e-6, the bound is what is given.
    """
    gap_G = np.asarray(rewards_G, float) - np.max(rewards_G)
    low, high = 0.0, 1.0
    while _divergence(high * gap_G) < ENTROPIC_KL:
        if high >= ENTROPIC_MAX_BETA:
            return ENTROPIC_MAX_BETA
        low, high = high, min(2 * high, ENTROPIC_MAX_BETA)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _divergence(middle * gap_G) < ENTROPIC_KL else (low, middle)
    return (low + high) / 2


def _of_group(name: AdvantageName, rewards_G: Floats) -> Floats:
    centred_G = rewards_G - rewards_G.mean()
    match name:
        case "grpo":
            return centred_G / (rewards_G.std(ddof=1) + _EPSILON)
        case "rloo":
            return centred_G * len(rewards_G) / (len(rewards_G) - 1)
        case "entropic":
            return _entropic(rewards_G)
        case _:
            return centred_G


def _entropic(rewards_G: Floats) -> Floats:
    n = len(rewards_G)
    e_G = np.exp(entropic_beta(rewards_G) * (rewards_G - rewards_G.max()))
    # Summed without the own one rather than subtracted: beside a large own one, the small others would be lost.
    others_G = np.where(np.eye(n, dtype=bool), 0.0, e_G).sum(axis=1) / (n - 1)
    with np.errstate(divide="ignore", over="ignore"):
        # Without leaving one out no weight can exceed n; with it, a lone winner's weight has no bound.
        return np.minimum(e_G / others_G, n) - 1


def _divergence(logits_G: Floats) -> float:
    p_G = np.exp(logits_G - logits_G.max())
    p_G /= p_G.sum()
    return float(np.log(len(p_G)) + (p_G[p_G > 0] * np.log(p_G[p_G > 0])).sum())
