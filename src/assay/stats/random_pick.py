"""Is a selector better than a random pick? The exact test for one pick a task, whose chance of success is known.

Axis suffix: P tasks.
"""

from math import ceil

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from assay.core.records import Record

_ROUNDING = 1e-9


class RandomPickTest(Record):
    """Successes of a selector over `tasks` tasks beside those of a random pick.

    observed: tasks on which the kept sample is a success; a fraction where ties are left. expected: the same for a
    random pick. deciding: tasks on which a random pick may go either way; only these can tell the two apart. p_value:
    two-sided; None where no task is deciding.
    """

    tasks: int
    observed: float
    expected: float
    deciding: int
    p_value: float | None


def random_pick_test(success_P: ArrayLike, chance_P: ArrayLike) -> RandomPickTest:
    """Exact test that a selector's picks are random ones.

    Under the null hypothesis the successes of independent tasks with chances p_1 .. p_P add up to a Poisson binomial
    variable X, whose distribution is a convolution (Hong 2013, Computational Statistics and Data Analysis 59, 41-51).
    The p-value is min(1, 2 min(P(X >= s), P(X <= s))). A sign test on success minus chance would not do: that
    difference has mean 0 under the null hypothesis, but not median 0. A fractional s (ties in the score) is
    conservative.

    success_P: success of the kept sample, in 0 .. 1; chance_P: success of a random pick. ValueError for other numbers.
    """
    success, chance = np.asarray(success_P, float), np.asarray(chance_P, float)
    if success.shape != chance.shape or success.ndim != 1:
        raise ValueError(f"{success.shape} successes with {chance.shape} chances: one of each a task")
    if len(success) and not (min(success.min(), chance.min()) >= 0 and max(success.max(), chance.max()) <= 1):
        raise ValueError("successes and chances lie in 0 .. 1")
    deciding = (chance > _ROUNDING) & (chance < 1 - _ROUNDING)
    distribution = np.ones(1)
    for p in chance[deciding]:
        distribution = np.append(distribution * (1 - p), 0.0) + np.append(0.0, distribution * p)
    s, counts = float(success[deciding].sum()), np.arange(len(distribution))
    upper = float(distribution[counts >= s - _ROUNDING].sum())
    lower = float(distribution[counts <= s + _ROUNDING].sum())
    return RandomPickTest(
        tasks=len(success),
        observed=float(success.sum()),
        expected=float(chance.sum()),
        deciding=int(deciding.sum()),
        p_value=min(1.0, 2 * min(upper, lower)) if deciding.any() else None,
    )


def tasks_for_random_pick(
    success_P: ArrayLike, chance_P: ArrayLike, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Tasks like these that the test would need, were the true surplus a task as large as the observed one.

    N = (z_alpha/2 + z_power)^2 v / d^2, with d the mean of success minus chance and v the mean of p (1 - p), by the
    normal approximation. None where no task is deciding, or nothing differs.
    """
    success, chance = np.asarray(success_P, float), np.asarray(chance_P, float)
    variance = float(np.mean(chance * (1 - chance))) if len(chance) else 0.0
    surplus = float(np.mean(success - chance)) if len(chance) else 0.0
    if variance < _ROUNDING or abs(surplus) < _ROUNDING:
        return None
    return ceil(float(norm.isf(alpha / 2) + norm.isf(1 - power)) ** 2 * variance / surplus**2)
