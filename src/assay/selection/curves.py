"""Best-of-K curves of a pool: what each selector would have reached with fewer samples, and with fewer evaluations.

The `*_values` functions give the figure of every task, shape (P, K), for those who test or resample tasks; `curve_of`
gives the mean over tasks.

Axis suffixes: P tasks, K sizes, C eligible samples of one task, B bootstrap resamples.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.selection.evaluation_order import order_scores
from assay.selection.pool import Floats, Ints, Pool, Samples
from assay.selection.selectors import Selector, eligible
from assay.selection.shortlist import Order
from assay.stats.best_of_k import (
    EquivalentK,
    default_ks,
    equivalent_k,
    max_at_k,
    pass_at_k,
    selected_weights,
    top_m_weights,
)
from assay.stats.intervals import Interval, clopper_pearson

Success = Literal["raw", "verified"]

# Chances closer than this differ by rounding.
_EQUAL = 1e-12


class Curve(Record):
    """One figure for each size K: the mean over `tasks` tasks."""

    ks: tuple[int, ...]
    values: tuple[float, ...]
    tasks: int

    def equivalent_k(self, figure: float) -> EquivalentK:
        """The K at which this curve reaches `figure`."""
        return equivalent_k(self.ks, self.values, figure)


def success_values(pool: Pool, success: Success = "verified", ks: Sequence[int] | None = None) -> tuple[Ints, Floats]:
    """Sizes K, and for each task the chance that at least one of K samples is a success."""
    sizes = _sizes(pool, ks)
    found = [pass_at_k(len(samples), int(is_success(samples, success).sum()), sizes) for _, samples in pool.by_task()]
    return sizes, np.stack(found)


def log_speedup_values(
    pool: Pool, success: Success = "verified", ks: Sequence[int] | None = None
) -> tuple[Ints, Floats]:
    """Sizes K, and for each task the expected log speedup of the fastest of K: max@K.

    The reference is always at hand, so a sample that is no success is worth log 1 = 0. A success is worth its point
    estimate under "raw" and its paired ratio under "verified". The largest of several measurements is too large, so
    this is what a search would have shown, and not what its program is worth.
    """
    sizes = _sizes(pool, ks)
    found = []
    for _, samples in pool.by_task():
        ratios = np.where(is_success(samples, success), samples.raw if success == "raw" else samples.speedup, 1.0)
        found.append(max_at_k(np.maximum(np.log(ratios), 0.0), sizes))
    return sizes, np.stack(found)


def selector_values(
    pool: Pool, selector: Selector, ks: Sequence[int] | None = None
) -> tuple[Ints, dict[Success, Floats]]:
    """Sizes K, and for each task and kind of success the chance that what `selector` keeps of K samples is one.

    Exact, ties averaged. A sample's score is that among all samples of its task, also where a score (the
    length-controlled one) depends on the others. The top-m selectors cost O(C^2) a task, C the correct samples.
    """
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
    return sizes, {"raw": np.stack(raw), "verified": np.stack(verified)}


def evaluated_first_values(
    pool: Pool, order: Order, success: Success = "verified", ms: Sequence[int] | None = None
) -> tuple[Ints, Floats]:
    """Numbers of evaluations m, and for each task the chance that the first m of all samples in `order` hold a success.

    Exact. "surprisal": least expected first, "confidence": most expected first, ties in random order; samples without
    log-probabilities (empty completions) come last. "random" is best of K.
    """
    if order == "random":
        return success_values(pool, success, ms)
    sizes = _sizes(pool, ms)
    found = [
        _solved_by_first(order_scores(samples.mean_logprob, order), is_success(samples, success), sizes)
        for _, samples in pool.by_task()
    ]
    return sizes, np.stack(found)


def curve_intervals(
    values_PK: Floats, rng: np.random.Generator, level: float = 0.95, resamples: int = 2000
) -> tuple[Interval | None, ...]:
    """Pointwise interval of the mean over tasks at each K: percentile bootstrap, the same resampled tasks for all K.

    Tasks alone are resampled: a task's value is unbiased for every K, so the variance between tasks holds the variance
    of its samples already (Davison and Hinkley 1997, section 3.8), while samples drawn with replacement would lower
    every maximum. Where all values are 0, or all are 1, the exact binomial interval, as in `success_interval`. None for
    fewer than 2 tasks, and where all tasks have one and the same value of another kind.
    """
    tasks = len(values_PK)
    if tasks < 2:
        return (None,) * values_PK.shape[1]
    share_BP = rng.multinomial(tasks, np.full(tasks, 1 / tasks), size=resamples) / tasks
    lows, highs = np.quantile(share_BP @ values_PK, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    found: list[Interval | None] = []
    for values_P, low, high in zip(values_PK.T, lows, highs, strict=True):
        if np.all(values_P == 0) or np.all(values_P == 1):
            found.append(clopper_pearson(int(values_P.sum()), tasks, level))
        elif np.ptp(values_P) < _EQUAL:
            found.append(None)
        else:
            name = "percentile bootstrap over tasks"
            found.append(Interval(low=float(low), high=float(high), level=level, method=name))
    return tuple(found)


def curve_of(sizes: Ints, values_PK: Floats) -> Curve:
    """The mean over tasks of shares."""
    means = np.clip(values_PK.mean(axis=0), 0, 1)
    return Curve(ks=tuple(sizes.tolist()), values=tuple(means.tolist()), tasks=len(values_PK))


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


def _sizes(pool: Pool, ks: Sequence[int] | None) -> Ints:
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
