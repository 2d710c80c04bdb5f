"""Which samples to evaluate first, before any judge has seen one.

Axis suffix: N samples of one task.
"""

import numpy as np
from numpy.typing import ArrayLike

from assay.core.records import content_hash
from assay.selection.pool import Floats, Ints
from assay.selection.shortlist import Order, Shortlist


def order_scores(mean_logprob_N: ArrayLike, order: Order) -> Floats:
    """Scores for an order of evaluation, highest first; all alike for "random", and -inf without a log-probability."""
    logprobs = np.asarray(mean_logprob_N, float)
    if order == "random":
        return np.zeros(len(logprobs))
    scores = logprobs if order == "confidence" else -logprobs
    return np.where(np.isnan(scores), -np.inf, scores)


def shortlisted(shortlist: Shortlist, mean_logprob_N: ArrayLike, seed: int, round: int, task_key: str) -> Ints:
    """The places of the chosen samples of one task and round, best first; NaN = no log-probability, and last.

    The samples stand in drawn order. Ties, and the random order, are settled by a shuffle that depends on the arguments
    alone, so a resumed run and a later analysis find the same samples.
    """
    scores_N = order_scores(mean_logprob_N, shortlist.rank)
    rng = np.random.default_rng(int(content_hash("shortlist", str(seed), str(round), task_key), 16))
    return np.lexsort((rng.permutation(len(scores_N)), -scores_N))[: shortlist.top].astype(np.int64)
