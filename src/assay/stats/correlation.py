"""Rank correlations of surprisal and speedup, and how much a score varies within a task.

A correlation is None where it does not exist: too few points, or one of the variables constant.
"""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from scipy.stats import t as student_t

from assay.core.records import Record


class Correlation(Record):
    """A rank correlation of n points. p_value: two-sided, by t; None where |rho| = 1 or no freedom is left."""

    rho: float
    n: int
    p_value: float | None


class QuartileCorrelation(Record):
    """The correlation within one quartile of the splitting variable; `correlation` None where it does not exist."""

    quartile: int  # 1 = lowest
    low: float
    high: float
    n: int
    correlation: Correlation | None


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation | None:
    """Spearman's rho. None for fewer than 3 points or a constant variable."""
    x_N, y_N = _columns(x, y)
    if len(x_N) < 3:
        return None
    rho = _pearson(rankdata(x_N), rankdata(y_N))
    return None if rho is None else _with_p(rho, len(x_N), len(x_N) - 2)


def partial_spearman(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> Correlation | None:
    """Spearman's rho of x and y with the ranks of `given` (a length, say) partialled out.

    rho_xy.z = (r_xy - r_xz r_yz) / sqrt((1 - r_xz^2)(1 - r_yz^2)) on ranks, tested on n-3 degrees of freedom. A
    constant `given` explains nothing, and the plain rho is returned. None for fewer than 4 points, for a constant x or
    y, and where `given` orders x or y completely.
    """
    x_N, y_N, z_N = _columns(x, y, given)
    if len(x_N) < 4:
        return None
    ranks = [rankdata(column) for column in (x_N, y_N, z_N)]
    xy, xz, yz = _pearson(ranks[0], ranks[1]), _pearson(ranks[0], ranks[2]), _pearson(ranks[1], ranks[2])
    if xy is None:
        return None
    if xz is None or yz is None:
        return _with_p(xy, len(x_N), len(x_N) - 2)
    left = (1 - xz**2) * (1 - yz**2)
    if left < 1e-12:
        return None
    rho = float(np.clip((xy - xz * yz) / left**0.5, -1, 1))
    return _with_p(rho, len(x_N), len(x_N) - 3)


def by_quartile(x: ArrayLike, y: ArrayLike, split_by: ArrayLike) -> tuple[QuartileCorrelation, ...]:
    """Spearman's rho of x and y within each quartile of `split_by`; equal values stay in one quartile, the lower one.

    Empty for no points. A quartile that ties leave empty is left out.
    """
    x_N, y_N, split_N = _columns(x, y, split_by)
    if len(x_N) == 0:
        return ()
    edges = np.quantile(split_N, [0.25, 0.5, 0.75])
    quartile_N = np.searchsorted(edges, split_N, side="left")
    found = []
    for quartile in range(4):
        inside = quartile_N == quartile
        if inside.any():
            low, high = float(split_N[inside].min()), float(split_N[inside].max())
            correlation = spearman(x_N[inside], y_N[inside])
            found.append(
                QuartileCorrelation(
                    quartile=quartile + 1, low=low, high=high, n=int(inside.sum()), correlation=correlation
                )
            )
    return tuple(found)


def within_task_std(values: ArrayLike, task: Sequence[Hashable]) -> dict[Hashable, float]:
    """Standard deviation (n-1) of `values` within each task; tasks with fewer than 2 values are left out."""
    (values_N,) = _columns(values)
    if len(task) != len(values_N):
        raise ValueError(f"{len(values_N)} values with {len(task)} tasks")
    by_task: dict[Hashable, list[float]] = {}
    for key, value in zip(task, values_N.tolist(), strict=True):
        by_task.setdefault(key, []).append(value)
    return {key: float(np.std(mine, ddof=1)) for key, mine in by_task.items() if len(mine) > 1}


def _columns(*columns: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    arrays = tuple(np.asarray(column, float) for column in columns)
    if len({len(array) for array in arrays}) > 1:
        raise ValueError(f"columns of lengths {', '.join(str(len(array)) for array in arrays)}")
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError("a correlation needs finite values; leave incomplete points out and say how many")
    return arrays


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    return None if scale == 0 else float(np.clip((x @ y) / scale, -1, 1))


def _with_p(rho: float, n: int, freedom: int) -> Correlation:
    # Within rounding of a perfect order the t statistic has no meaning.
    if freedom < 1 or abs(rho) > 1 - 1e-12:
        return Correlation(rho=rho, n=n, p_value=None)
    statistic = abs(rho) * (freedom / (1 - rho**2)) ** 0.5
    return Correlation(rho=rho, n=n, p_value=float(2 * student_t.sf(statistic, freedom)))
