"""Intervals for rates, means and speedups.

A degenerate case has no interval: the functions return None for it, never a width of zero and never NaN. Each docstring
says which cases those are, and the caller says so in words.

Axis suffixes: P tasks, B bootstrap resamples.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm
from scipy.stats import t as student_t

from assay.core.records import Record

Floats = NDArray[np.float64]
BootstrapMethod = Literal["percentile", "bca"]

# Integers drawn at once in the bootstrap.
_CHUNK_DRAWS = 4_000_000


class Interval(Record):
    """An interval at confidence `level`, and the method that gave it."""

    low: float
    high: float
    level: float
    method: str


class MeanEstimate(Record):
    """The mean of n values with its t interval. std (n-1) and interval: None for n = 1; interval also for std = 0."""

    mean: float
    std: float | None
    n: int
    interval: Interval | None


class GeometricMean(Record):
    """The geometric mean of n ratios; interval None for n = 1 and for equal ratios."""

    value: float
    n: int
    interval: Interval | None


# -- rates ------------------------------------------------------------------------------------------------------


def clopper_pearson(successes: int, n: int, level: float = 0.95) -> Interval | None:
    """The exact binomial interval (Clopper and Pearson 1934, Biometrika 26). None for n = 0."""
    return _binomial(successes, n, level, "exact", "clopper-pearson")


def wilson(successes: int, n: int, level: float = 0.95) -> Interval | None:
    """The score interval without continuity correction (Wilson 1927, JASA 22). None for n = 0."""
    return _binomial(successes, n, level, "wilson", "wilson")


def _binomial(successes: int, n: int, level: float, method: Literal["exact", "wilson"], name: str) -> Interval | None:
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes in {n} trials")
    if n == 0:
        return None
    found = binomtest(successes, n).proportion_ci(level, method)
    return Interval(low=float(found.low), high=float(found.high), level=level, method=name)


# -- means ------------------------------------------------------------------------------------------------------


def t_interval(values: ArrayLike, level: float = 0.95) -> MeanEstimate | None:
    """Mean of independent values, one a seed, with Student's t interval (n-1 degrees of freedom). None for n = 0."""
    x = _finite(values)
    if len(x) == 0:
        return None
    mean = float(x.mean())
    if len(x) == 1:
        return MeanEstimate(mean=mean, std=None, n=1, interval=None)
    if np.ptp(x) == 0:
        return MeanEstimate(mean=mean, std=0.0, n=len(x), interval=None)
    std = float(x.std(ddof=1))
    half = float(student_t.ppf(0.5 + level / 2, len(x) - 1)) * std / len(x) ** 0.5
    interval = Interval(low=mean - half, high=mean + half, level=level, method="t")
    return MeanEstimate(mean=mean, std=std, n=len(x), interval=interval)


def geometric_mean(ratios: ArrayLike, level: float = 0.95) -> GeometricMean | None:
    """The exponential of the mean logarithm, with their t interval carried back. None for n = 0.

    ValueError for a ratio that is not positive: a failure has no speedup, and does not belong in this mean.
    """
    x = _finite(ratios)
    if np.any(x <= 0):
        raise ValueError("a geometric mean needs positive ratios")
    logs = t_interval(np.log(x), level)
    if logs is None:
        return None
    interval = logs.interval and Interval(
        low=float(np.exp(logs.interval.low)), high=float(np.exp(logs.interval.high)), level=level, method="t on logs"
    )
    return GeometricMean(value=float(np.exp(logs.mean)), n=logs.n, interval=interval)


def _finite(values: ArrayLike) -> Floats:
    x = np.asarray(values, float)
    if not np.isfinite(x).all():
        raise ValueError("a mean needs finite values; leave missing ones out and say how many were left out")
    return x


# -- bootstrap over tasks ---------------------------------------------------------------------------------------


def bootstrap_tasks(
    values_P: ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 4000,
    method: BootstrapMethod = "percentile",
) -> Interval | None:
    """Bootstrap interval of the mean over tasks of one figure a task: tasks are resampled, nothing within them.

    BCa takes its acceleration from leaving out one task at a time (Efron 1987, JASA 82).

    None for fewer than 2 tasks and where all tasks have the same figure.
    """
    values = _finite(values_P)
    if len(values) < 2 or np.ptp(values) == 0:
        return None
    draws_B = np.empty(resamples)
    step = max(1, _CHUNK_DRAWS // len(values))
    for low in range(0, resamples, step):
        chosen = rng.integers(len(values), size=(min(step, resamples - low), len(values)))
        draws_B[low : low + step] = values[chosen].mean(axis=1)
    tails: Floats | None = _tails(level)
    if method == "bca":
        left_out_P = (values.sum() - values) / (len(values) - 1)
        tails = _bca_tails(draws_B, float(values.mean()), left_out_P, level)
    return _from_draws(draws_B, tails, level, f"{method} bootstrap over tasks")


def _from_draws(draws_B: Floats, tails: Floats | None, level: float, name: str) -> Interval | None:
    if tails is None or np.ptp(draws_B) == 0:
        return None
    low, high = np.quantile(draws_B, tails)
    return Interval(low=float(low), high=float(high), level=level, method=name)


def _tails(level: float) -> Floats:
    return np.array([0.5 - level / 2, 0.5 + level / 2])


def _bca_tails(draws_B: Floats, estimate: float, left_out_P: Floats, level: float) -> Floats | None:
    """The tails corrected for bias and acceleration; None where all draws lie on one side or no task matters."""
    # Half of the draws that equal the estimate count as below it: bootstrap figures of few tasks are discrete.
    equal = np.isclose(draws_B, estimate, rtol=1e-12, atol=0)
    below = float(np.mean((draws_B < estimate) & ~equal) + 0.5 * np.mean(equal))
    spread = left_out_P.mean() - left_out_P
    scale = float((spread**2).sum()) ** 1.5
    if not 0 < below < 1 or scale == 0:
        return None
    bias, acceleration = float(norm.ppf(below)), float((spread**3).sum()) / (6 * scale)
    shifted = bias + norm.ppf(_tails(level))
    return norm.cdf(bias + shifted / (1 - acceleration * shifted))
