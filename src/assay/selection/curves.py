"""Best-of-K curves of a pool: what each selector would have reached with fewer samples, and with fewer evaluations.

Axis suffixes: P tasks, K sizes, C eligible samples of one task.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.selection.pool import Floats, Pool, Samples
from assay.selection.selectors import Selector, eligible
from assay.stats.best_of_k import EquivalentK, default_ks, equivalent_k, pass_at_k, selected_weights, top_m_weights

Success = Literal["raw", "verified"]
Order = Literal["surprisal", "confidence", "random"]


class Curve(Record):
    """One figure for each size K: the mean over `tasks` tasks."""

    ks: tuple[int, ...]
    values: tuple[float, ...]
    tasks: int

    def equivalent_k(self, figure: float) -> EquivalentK:
        """The K at which this curve reaches `figure`."""
        return equivalent_k(self.ks, self.values, figure)


def best_of_k_curve(pool: Pool, success: Success = "verified", ks: Sequence[int] | None = None) -> Curve:
    """Share of tasks solved by at least one of K samples: pass@k of fast_1, averaged over tasks."""
    sizes = _sizes(pool, ks)
    totals = [pass_at_k(len(samples), int(is_success(samples, success).sum()), sizes) for _, samples in pool.by_task()]
    return _curve(sizes, totals)


def selector_curve(
    pool: Pool, selector: Selector, success: Success = "verified", ks: Sequence[int] | None = None
) -> Curve:
    """Share of tasks on which the sample that `selector` keeps of K is a success; exact, ties averaged.

    A sample's score is that among all samples of its task, also where a score (the length-controlled one) depends on
    the others. The top-m selectors cost O(C^2) a task, C the correct samples.
    """
    return selector_curves(pool, selector, ks)[success]


def selector_curves(pool: Pool, selector: Selector, ks: Sequence[int] | None = None) -> dict[Success, Curve]:
    """`selector_curve` for both kinds of success, at the cost of one."""
    sizes = _sizes(pool, ks)
    raw, verified = [], []
    for _, samples in pool.by_task():
        rows, scores, speeds = eligible(selector, samples)
        kept = samples.take(rows)
        if selector.top == 1:
            weights_KC = selected_weights(scores, len(samples), sizes)
        else:
            m = int(min(selector.top, max(1, len(rows) + 1)))
            weights_KC = top_m_weights(scores, speeds, len(samples), sizes, m)
        raw.append(weights_KC @ kept.is_fast_raw)
        verified.append(weights_KC @ kept.is_fast_verified)
    return {"raw": _curve(sizes, raw), "verified": _curve(sizes, verified)}


def evaluated_first_curve(
    pool: Pool, order: Order, success: Success = "verified", ms: Sequence[int] | None = None
) -> Curve:
    """Share of tasks solved when only the first m of all samples in `order` are evaluated at all; exact.

    "surprisal": least expected first, "confidence": most expected first, ties in random order; samples without
    log-probabilities (empty completions) come last. "random" is the curve of best of K.
    """
    if order == "random":
        return best_of_k_curve(pool, success, ms)
    sizes = _sizes(pool, ms)
    totals = []
    for _, samples in pool.by_task():
        score = samples.mean_logprob if order == "confidence" else -samples.mean_logprob
        score = np.where(np.isnan(score), -np.inf, score)
        totals.append(_solved_by_first(score, is_success(samples, success), sizes))
    return _curve(sizes, totals)


def is_success(samples: Samples, success: Success) -> np.ndarray:
    """Which samples are fast by the published rule, or by the verdict; boolean, one a sample."""
    return samples.is_fast_raw if success == "raw" else samples.is_fast_verified


def _solved_by_first(score_N: Floats, is_success_N: np.ndarray, sizes: np.ndarray) -> Floats:
    """Chance of a success among the m best-scored, for each m: 0, then hypergeometric in the tied group, then 1."""
    if not is_success_N.any():
        return np.zeros(len(sizes))
    best = score_N[is_success_N].max()  # the group of ties in which the first success stands
    ahead, group = int((score_N > best).sum()), score_N == best
    within = np.clip(sizes - ahead, 0, int(group.sum()))
    chance = np.zeros(len(sizes))
    reached = within > 0
    chance[reached] = pass_at_k(int(group.sum()), int(is_success_N[group].sum()), within[reached])
    return chance


def _sizes(pool: Pool, ks: Sequence[int] | None) -> np.ndarray:
    """The sizes asked for, or powers of two up to the smallest task; no size may exceed what every task has."""
    counts = np.diff(pool.offsets)
    smallest = int(counts.min()) if len(counts) else 0
    if smallest == 0:
        raise UsageError("A curve over K needs at least one sample of every task in the pool.")
    sizes = default_ks(smallest) if ks is None else np.asarray(ks, np.int64)
    if len(sizes) == 0 or sizes.min() < 1 or sizes.max() > smallest:
        asked = ", ".join(map(str, sizes.tolist())) or "none"
        raise UsageError(f"Sizes of a curve lie in 1 to {smallest}, the fewest samples of a task; asked for: {asked}.")
    return sizes


def _curve(sizes: np.ndarray, values_PK: Sequence[Floats]) -> Curve:
    means = np.mean(np.stack(list(values_PK)), axis=0)
    return Curve(ks=tuple(sizes.tolist()), values=tuple(np.clip(means, 0, 1).tolist()), tasks=len(values_PK))
