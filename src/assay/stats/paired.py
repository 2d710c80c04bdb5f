"""Tests on pairs: two methods on the same tasks.

Each test returns what it counted beside its p-value, and p_value None where no pair tells the two methods apart: such
data say nothing for or against a difference.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, rankdata, wilcoxon

from assay.core.records import Record

Alternative = Literal["two-sided", "greater", "less"]

# Up to here the null distribution of the signed-rank statistic is computed exactly, ties and all.
EXACT_UP_TO = 50


class SignTest(Record):
    """Exact sign test. wins: pairs in which a > b; ties take no part."""

    wins: int
    losses: int
    ties: int
    alternative: Alternative
    p_value: float | None


class McNemar(Record):
    """Exact McNemar test of two binary outcomes on the same tasks; only the tasks on which they differ count."""

    both: int
    only_a: int
    only_b: int
    neither: int
    alternative: Alternative
    p_value: float | None

    @property
    def n(self) -> int:
        """How many tasks were compared."""
        return self.both + self.only_a + self.only_b + self.neither


class SignedRank(Record):
    """Wilcoxon signed-rank test. n: pairs that differ; zeros: pairs that do not, left out (Wilcoxon's own rule).

    statistic: the smaller of the rank sums of the positive and of the negative differences.
    """

    n: int
    zeros: int
    rank_sum_positive: float
    rank_sum_negative: float
    statistic: float
    alternative: Alternative
    method: Literal["exact", "normal"]
    p_value: float | None


def sign_test(differences: ArrayLike, alternative: Alternative = "two-sided") -> SignTest:
    """Sign test on the differences a - b (or on log ratios); "greater" claims that a is larger."""
    d = _finite(differences)
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    p_value = _binomial_p(wins, wins + losses, alternative)
    return SignTest(wins=wins, losses=losses, ties=len(d) - wins - losses, alternative=alternative, p_value=p_value)


def mcnemar(a: ArrayLike, b: ArrayLike, alternative: Alternative = "two-sided") -> McNemar:
    """Exact McNemar test (McNemar 1947, Psychometrika 12), on discordant pairs. a, b: booleans in the same order."""
    a_P, b_P = np.asarray(a, bool), np.asarray(b, bool)
    if a_P.shape != b_P.shape:
        raise ValueError(
            f"{a_P.size} outcomes against {b_P.size}: a paired test needs the same tasks in the same order"
        )
    only_a, only_b = int((a_P & ~b_P).sum()), int((b_P & ~a_P).sum())
    return McNemar(
        both=int((a_P & b_P).sum()),
        only_a=only_a,
        only_b=only_b,
        neither=int((~a_P & ~b_P).sum()),
        alternative=alternative,
        p_value=_binomial_p(only_a, only_a + only_b, alternative),
    )


def signed_rank(differences: ArrayLike, alternative: Alternative = "two-sided") -> SignedRank:
    """Signed-rank test on differences or log ratios (Wilcoxon 1945, Biometrics Bulletin 1).

    The p-value is exact for up to 50 pairs that differ, also with tied ranks; beyond that it is the normal
    approximation with tie correction.
    """
    d = _finite(differences)
    moved = d[d != 0]
    ranks = rankdata(np.abs(moved))
    positive, negative = float(ranks[moved > 0].sum()), float(ranks[moved < 0].sum())
    is_exact = len(moved) <= EXACT_UP_TO
    if len(moved) == 0:
        p_value = None
    elif is_exact:
        p_value = _exact_rank_p(ranks, positive, alternative)
    else:
        _, p_value = map(float, wilcoxon(moved, alternative=alternative, method="asymptotic"))
    return SignedRank(
        n=len(moved),
        zeros=len(d) - len(moved),
        rank_sum_positive=positive,
        rank_sum_negative=negative,
        statistic=min(positive, negative),
        alternative=alternative,
        method="exact" if is_exact else "normal",
        p_value=p_value,
    )


def smallest_p(n_differing: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p-value that any of the three exact tests can give with this many pairs that differ."""
    return min(1.0, (2.0 if alternative == "two-sided" else 1.0) * 0.5**n_differing)


def cohens_h(p1: float, p2: float) -> float:
    """Effect size of two proportions, 2 asin sqrt(p1) - 2 asin sqrt(p2) (Cohen 1988, chapter 6)."""
    if not (0 <= p1 <= 1 and 0 <= p2 <= 1):
        raise ValueError(f"proportions {p1} and {p2}: each must lie in 0 .. 1")
    return float(2 * np.arcsin(np.sqrt(p1)) - 2 * np.arcsin(np.sqrt(p2)))


def holm(p_values: Sequence[float | None]) -> tuple[float | None, ...]:
    """Holm's step-down adjustment over one family (Holm 1979, Scandinavian Journal of Statistics 6), in order.

    A test without a p-value stays without one and does not count towards the family.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[place] = running
    return tuple(adjusted)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, float)
    if not np.isfinite(x).all():
        raise ValueError("a paired test needs finite values; leave incomplete pairs out and say how many")
    return x


def _binomial_p(wins: int, n: int, alternative: Alternative) -> float | None:
    return float(binomtest(wins, n, 0.5, alternative).pvalue) if n else None


def _exact_rank_p(ranks: NDArray[np.float64], positive: float, alternative: Alternative) -> float:
    """Tail of the rank sum when every sign is a fair coin. Ranks are multiples of 1/2, so their doubles are counted.

    scipy's exact distribution assumes untied ranks; this one holds for tied ones too.
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    chance = np.ones(1)
    for rank in doubled:
        chance = 0.5 * (np.append(chance, np.zeros(rank)) + np.append(np.zeros(rank), chance))
    at = round(2 * positive)
    upper, lower = float(chance[at:].sum()), float(chance[: at + 1].sum())
    tail = {"greater": upper, "less": lower, "two-sided": 2 * min(upper, lower)}[alternative]
    return min(1.0, tail)
