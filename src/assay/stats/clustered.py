"""Rank correlations of clustered points along a path, with bootstrap intervals that keep clusters together.

Axis suffixes: S steps of the path, N points, B bootstrap resamples.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.core.records import Record
from assay.stats.intervals import Interval

Floats = NDArray[np.float64]
MIN_POINTS = 3
# Of the resamples, the share in which a correlation must exist for an interval of it to be given.
_MIN_SHARE = 0.5


class PathRho(Record):
    """Spearman's rho at one step; None where it does not exist (fewer than 3 points, or a constant variable).

    n: points. change: rho minus that of the first step. Intervals are None for fewer than 2 clusters, and where the
    correlation does not exist in half of the resamples.
    """

    rho: float | None
    n: int
    interval: Interval | None
    change: float | None
    change_interval: Interval | None


def rho_path(
    x_SN: ArrayLike,
    y_N: ArrayLike,
    cluster_N: ArrayLike,
    rng: np.random.Generator,
    lowest: float | None = None,
    level: float = 0.95,
    resamples: int = 1000,
) -> tuple[PathRho, ...]:
    """Spearman's rho of x and y at every step, and its change since the first, over the same points throughout.

    lowest: only over the points whose x is in its lowest share at that step, 0.25 for the bottom quartile (equal values
    stay together). Each resample draws clusters with replacement, then points of each (Davison and Hinkley 1997,
    section 3.8, strategy 2), and is the same for all steps, so that an interval of a change is one of paired figures.
    ValueError for values that are not finite or columns of different lengths.
    """
    x, y, cluster = np.asarray(x_SN, float), np.asarray(y_N, float), np.asarray(cluster_N)
    if x.ndim != 2 or y.shape != x.shape[1:] or cluster.shape != y.shape:
        raise ValueError(f"a path of shape {x.shape} with {y.shape} values and {cluster.shape} clusters")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a correlation needs finite values; leave incomplete points out and say how many")
    rhos_S = _rhos if lowest is None else _lowest_rhos(lowest)
    rho_S, count_S = rhos_S(x, y), _counts(x, lowest)
    drawn_BS = np.array([rhos_S(x[:, rows], y[rows]) for rows in _resamples(cluster, rng, resamples)])
    found = []
    for step in range(len(x)):
        draws_B = drawn_BS[:, step] if len(drawn_BS) else np.empty(0)
        changes_B = draws_B - drawn_BS[:, 0] if len(drawn_BS) else draws_B
        change = None if step == 0 else _known(rho_S[step] - rho_S[0])
        found.append(
            PathRho(
                rho=_known(rho_S[step]),
                n=count_S[step],
                interval=_interval(draws_B, level) if np.isfinite(rho_S[step]) else None,
                change=change,
                change_interval=None if change is None else _interval(changes_B, level),
            )
        )
    return tuple(found)


def _rhos(x_SN: Floats, y_N: Floats) -> Floats:
    """Spearman's rho of each row of x with y, shape (S,); NaN where it does not exist."""
    y = _centred_ranks(y_N)
    return np.array([_pearson(_centred_ranks(x_N), y) for x_N in x_SN])


def _lowest_rhos(share: float) -> Callable[[Floats, Floats], Floats]:
    def rhos(x_SN: Floats, y_N: Floats) -> Floats:
        kept = [(x_N, _is_lowest(x_N, share)) for x_N in x_SN]
        return np.array([_pearson(_centred_ranks(x_N[keep]), _centred_ranks(y_N[keep])) for x_N, keep in kept])

    return rhos


def _pearson(x_N: Floats, y_N: Floats) -> float:
    """Of centred columns; NaN for fewer than 3 points and where one of them is constant."""
    scale = float((x_N @ x_N) * (y_N @ y_N)) ** 0.5
    return float("nan") if len(x_N) < MIN_POINTS or scale == 0 else min(1.0, max(-1.0, float(x_N @ y_N) / scale))


def _centred_ranks(x_N: Floats) -> Floats:
    """Ranks minus their mean, the mean rank for equal values; many times faster than scipy's on a few dozen points."""
    ordered = np.sort(x_N)
    ranks = np.searchsorted(ordered, x_N, "left") + np.searchsorted(ordered, x_N, "right")
    return (ranks - len(x_N)) / 2


def _is_lowest(x_N: Floats, share: float) -> NDArray[np.bool_]:
    """At most the quantile of `share`, by linear interpolation as numpy's."""
    if not len(x_N):
        return np.zeros(0, bool)
    place = share * (len(x_N) - 1)
    ordered, below = np.sort(x_N), int(place)
    above = ordered[min(below + 1, len(x_N) - 1)]
    return x_N <= ordered[below] + (place - below) * (above - ordered[below])


def _counts(x_SN: Floats, lowest: float | None) -> list[int]:
    return [len(x_N) if lowest is None else int(_is_lowest(x_N, lowest).sum()) for x_N in x_SN]


def _resamples(cluster_N: NDArray, rng: np.random.Generator, count: int) -> Iterator[NDArray[np.int64]]:
    """Rows of each resample; none for fewer than 2 clusters."""
    rows = [np.flatnonzero(cluster_N == one) for one in np.unique(cluster_N)]
    if len(rows) < 2:
        return
    for _ in range(count):
        chosen = [rows[place] for place in rng.integers(len(rows), size=len(rows))]
        yield np.concatenate([of_one[rng.integers(len(of_one), size=len(of_one))] for of_one in chosen])


def _interval(draws_B: Floats, level: float) -> Interval | None:
    kept = draws_B[np.isfinite(draws_B)]
    if not len(draws_B) or len(kept) < _MIN_SHARE * len(draws_B) or np.ptp(kept) == 0:
        return None
    low, high = np.quantile(kept, [0.5 - level / 2, 0.5 + level / 2])
    name = "percentile bootstrap over tasks and samples"
    return Interval(low=float(low), high=float(high), level=level, method=name)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
