"""Pieces of sentences that analyses share: numbers, intervals, and how many tasks a claim would need."""

from collections.abc import Sequence
from math import ceil

import numpy as np
from scipy.stats import norm

from assay.stats.intervals import Interval, clopper_pearson
from assay.stats.paired import McNemar, cohens_h
from assay.stats.power import tasks_for_mcnemar

# To how many points either way a rate should be known before it is called known.
HALF_WIDTH = 0.10
# Rates become counts of so many tasks where a planning formula wants counts; the formula depends on the rates alone.
_SCALE = 1_000_000


def count(n: int, one: str, many: str | None = None) -> str:
    """`1 task`, `2 tasks`."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def listed(names: Sequence[str], limit: int = 5) -> str:
    """The first few of a list."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def share(value: float) -> str:
    """A share as a percentage: whole ones, with a decimal where a whole one would read 0% or 100% and is not."""
    return f"{value:.0%}" if value in (0.0, 1.0) or 0.005 <= value < 0.995 else f"{value:.1%}"


def with_interval(value: float, interval: Interval | None) -> str:
    """`40% (95% interval 22% to 61%)`, or without one where the data allow none."""
    if interval is None:
        return f"{share(value)} (too few or too uniform tasks for an interval)"
    return f"{share(value)} ({interval.level:.0%} interval {share(interval.low)} to {share(interval.high)})"


def inside(sentence: str) -> str:
    """A sentence as the part of another that follows a colon."""
    return sentence[:1].lower() + sentence[1:] if sentence.startswith(("Of ", "Over ")) else sentence


def p_words(p_value: float | None) -> str:
    """`p = 0.031`, or that there is none."""
    return "no p-value" if p_value is None else f"p = {p_value:.3g}"


def tasks_for_rate(rate: float, half_width: float = HALF_WIDTH, level: float = 0.95) -> int:
    """The smallest number of tasks at which neither end of the exact interval of such a rate is farther off than
    `half_width`.
    """
    n = 1
    while True:
        interval = clopper_pearson(round(rate * n), n, level)
        if interval is not None and max(interval.high - rate, rate - interval.low) <= half_width:
            return n
        n += 1


def tasks_for_gain(gain: float) -> int | None:
    """Tasks that a McNemar test would need if a share `gain` of them were solved by the one way and not by the other.

    None for no gain.
    """
    won = round(gain * _SCALE)
    test = McNemar(both=0, only_a=won, only_b=0, neither=_SCALE - won, alternative="two-sided", p_value=None)
    return tasks_for_mcnemar(test)


def samples_for_rho(rho: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Independent points that would show a correlation: 3 + ((z_alpha/2 + z_power) / atanh rho)^2 (Fisher 1921).

    None for rho = 0, and for |rho| = 1, where any few would do.
    """
    if rho == 0 or abs(rho) >= 1:
        return None
    return 3 + ceil((float(norm.isf(alpha / 2) + norm.isf(1 - power)) / float(np.arctanh(abs(rho)))) ** 2)


def tasks_for_two_shares(p1: float, p2: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Tasks on each side that would show two independent shares to differ: 2 (z_alpha/2 + z_power)^2 / h^2, with
    Cohen's h (Cohen 1988, section 6.4), but at least the 4 at which Fisher's exact test can reach 0.05 at all. None for
    equal shares.
    """
    h = cohens_h(p1, p2)
    if abs(h) < 1e-9:
        return None
    return max(4, ceil(2 * float(norm.isf(alpha / 2) + norm.isf(1 - power)) ** 2 / h**2))
