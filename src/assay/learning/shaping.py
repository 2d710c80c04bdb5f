"""KL shaping: a token that drifts further from the reference than the batch does on average is charged for it.

A_t += lambda (mean(lp - lp_ref) - (lp_t - lp_ref_t)), with the mean over all tokens of the update, so that the shaping
adds up to 0 and neither raises nor lowers the batch as a whole (as in public RL recipes for hosted training; compare
the KL term in the reward of Ouyang et al., arXiv 2203.02155). At lambda = 0 nothing changes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def kl_shaping(
    logprobs: Sequence[Sequence[float]], references: Sequence[Sequence[float]], coefficient: float
) -> list[Floats]:
    """What to add to the advantages of each completion, one float64 a token.

    logprobs, references: of the same tokens, by the weights that drew them and by the reference. ValueError where their
    lengths differ.
    """
    gaps = [_gap(of_one, of_reference) for of_one, of_reference in zip(logprobs, references, strict=True)]
    tokens = sum(len(gap) for gap in gaps)
    if not tokens:
        return gaps
    mean = sum(float(gap.sum()) for gap in gaps) / tokens
    return [coefficient * (mean - gap) for gap in gaps]


def _gap(logprobs: Sequence[float], references: Sequence[float]) -> Floats:
    if len(logprobs) != len(references):
        raise ValueError(f"{len(logprobs)} log-probabilities, and {len(references)} of the reference")
    return np.array(logprobs, float) - np.array(references, float)
