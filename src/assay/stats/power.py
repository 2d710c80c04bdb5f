"""How many tasks a claim would need, and what may be said of the numbers at hand.

Sample sizes take the observed effect as if it were the true one. It is not: with few tasks the observed effect is a
noisy guess, so these are orders of magnitude for planning, never evidence. The sentences claim a difference only where
the test at level alpha supports one, and a difference that is not supported is never called an absence of difference.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from assay.stats.intervals import clopper_pearson
from assay.stats.paired import McNemar, SignedRank, SignTest, smallest_p

# A 95% interval wider than this leaves a rate open to either side of almost any threshold.
WIDE_INTERVAL = 0.4

# Walsh averages need all pairs of pairs; beyond this many the observed share is taken from an even sub-sample.
_MAX_WALSH = 2000


def tasks_for_sign_test(test: SignTest, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Tasks that a sign test would need, ties included at their observed rate (Noether 1987, JASA 82, 645-647).

    N = (z_alpha + z_power)^2 / (4 (p - 1/2)^2) pairs that differ, p the observed share of wins, but at least as many as
    can reach alpha at all. None where no pair differs or wins equal losses.
    """
    differing = test.wins + test.losses
    if differing == 0 or test.wins == test.losses:
        return None
    share = test.wins / differing
    needed = (_z_alpha(alpha, test.alternative) + _z(1 - power)) ** 2 / (4 * (share - 0.5) ** 2)
    return _with_ties(needed, differing, differing + test.ties, alpha, test.alternative)


def tasks_for_mcnemar(test: McNemar, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Tasks that a McNemar test would need (Connor 1987, Biometrics 43, 207-211).

    N = (z_alpha sqrt(d) + z_power sqrt(d - diff^2))^2 / diff^2, with d the rate of discordant tasks and diff that of
    a's surplus, but at least as many as can reach alpha at all. None where no task is discordant or the sides balance.
    """
    discordant = test.only_a + test.only_b
    if test.only_a == test.only_b:
        return None
    d, difference = discordant / test.n, abs(test.only_a - test.only_b) / test.n
    z_alpha, z_power = _z_alpha(alpha, test.alternative), _z(1 - power)
    needed = (z_alpha * d**0.5 + z_power * (d - difference**2) ** 0.5) ** 2 / difference**2
    return _with_ties(needed * d, discordant, test.n, alpha, test.alternative)


def tasks_for_signed_rank(
    differences: ArrayLike, alternative: str = "two-sided", alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Tasks that a Wilcoxon signed-rank test on such differences would need (Noether 1987).

    N = (z_alpha + z_power)^2 / (3 (p - 1/2)^2), p the observed share of pairs i < j with a positive sum of differences
    (half for a sum of zero). None for fewer than 2 differences that are not zero, and where p = 1/2.
    """
    d = np.asarray(differences, float)
    moved = d[d != 0]
    if len(moved) < 2:
        return None
    thinned = moved[:: ceil(len(moved) / _MAX_WALSH)]
    i, j = np.triu_indices(len(thinned), k=1)
    sums = thinned[i] + thinned[j]
    share = float(np.mean(sums > 0) + 0.5 * np.mean(sums == 0))
    if share == 0.5:
        return None
    needed = (_z_alpha(alpha, alternative) + _z(1 - power)) ** 2 / (3 * (share - 0.5) ** 2)
    return _with_ties(needed, len(moved), len(d), alpha, alternative)


def tasks_for_interval(estimate: float, low: float, high: float, n: int, power: float = 0.8) -> int | None:
    """Tasks at which an interval like this one, of `n` tasks and level 95%, would leave 0 out with that power.

    n ((z_0.025 + z_power) s / estimate)^2, s = (high - low) / (2 z_0.025): a standard error that falls as one over the
    root of n. None for an estimate of 0.
    """
    if estimate == 0:
        return None
    z = _z(0.025)
    return ceil(n * ((z + _z(1 - power)) * (high - low) / (2 * z) / estimate) ** 2 - 1e-9)


def _z_alpha(alpha: float, alternative: str) -> float:
    return _z(alpha / 2 if alternative == "two-sided" else alpha)


def _z(upper_tail: float) -> float:
    return float(norm.isf(upper_tail))


def _with_ties(needed: float, differing: int, n: int, alpha: float, alternative: str) -> int:
    """Differing pairs to tasks, after raising them to the count at which an exact test can reach alpha."""
    return ceil(max(needed, fewest_differing(alpha, alternative)) * n / differing - 1e-9)


def fewest_differing(alpha: float = 0.05, alternative: str = "two-sided") -> int:
    """The smallest number of pairs that differ at which an exact test can reach `alpha` at all."""
    return ceil(np.log2((2 if alternative == "two-sided" else 1) / alpha) - 1e-12)


def unseen_share(n: int, level: float = 0.95) -> float:
    """The largest share of differing tasks that `n` tasks, none of which differs, leave possible: 1 - (1 - level)^(1/n)
    (Clopper and Pearson 1934, one-sided). ValueError for no task.
    """
    if n < 1:
        raise ValueError("no task was seen, so nothing bounds the share that differs")
    return 1 - (1 - level) ** (1 / n)


# -- in words ---------------------------------------------------------------------------------------------------


def rate_in_words(successes: int, n: int, what: str = "tasks", level: float = 0.95) -> str:
    """One sentence for a rate with its exact interval, saying so if the interval is too wide to be of use."""
    interval = clopper_pearson(successes, n, level)
    if interval is None:
        return f"No {what} were tried, so there is no rate."
    what = _counted(n, what)
    limits = f"{level:.0%} interval {interval.low:.0%} to {interval.high:.0%}"
    text = f"{successes} of {n} {what} ({successes / n:.0%}; {limits})"
    if interval.high - interval.low > WIDE_INTERVAL:
        so_few = "a single one" if n == 1 else f"so few {what}"
        text += f": with {so_few} the rate is known only roughly"
    return text + "."


def mcnemar_in_words(
    test: McNemar, a: str, b: str, alpha: float = 0.05, adjusted_p: float | None = None, what: str = "tasks"
) -> str:
    """One sentence on who succeeds where the other does not, and what that supports. adjusted_p: after Holm, say."""
    if test.n == 0:
        return f"{a} and {b} share no {what}, so nothing can be said of a difference."
    succeeds = f"{a} alone succeeds on {test.only_a} and {b} alone on {test.only_b} (exact McNemar"
    facts = f"Of {test.n} {_counted(test.n, what)}, {succeeds}"
    needed = tasks_for_mcnemar(test, alpha)
    leader = (a, b) if test.only_a > test.only_b else (b, a)
    pairs = _Pairs(test.n, test.only_a + test.only_b, what)
    return _sentence(facts, test, pairs, needed, leader, alpha, adjusted_p)


def sign_test_in_words(
    test: SignTest, a: str, b: str, alpha: float = 0.05, adjusted_p: float | None = None, what: str = "tasks"
) -> str:
    """One sentence on how often a is ahead of b, and what that supports."""
    n = test.wins + test.losses + test.ties
    if n == 0:
        return f"{a} and {b} share no {what}, so nothing can be said of a difference."
    facts = f"Of {n} {_counted(n, what)}, {a} is ahead on {test.wins} and {b} on {test.losses} (exact sign test"
    leader = (a, b) if test.wins > test.losses else (b, a)
    needed = tasks_for_sign_test(test, alpha)
    return _sentence(facts, test, _Pairs(n, test.wins + test.losses, what), needed, leader, alpha, adjusted_p)


def signed_rank_in_words(
    test: SignedRank,
    differences: ArrayLike,
    a: str,
    b: str,
    alpha: float = 0.05,
    adjusted_p: float | None = None,
    what: str = "tasks",
) -> str:
    """One sentence on the paired log speedup ratios `differences` (a over b) that `test` was made of."""
    d = np.asarray(differences, float)
    if len(d) == 0:
        return f"{a} and {b} share no {what} with a speedup on both sides, so nothing can be said of a difference."
    ratio = float(np.exp(d.mean()))
    facts = (
        f"Over {len(d)} {_counted(len(d), what)} the speedup of {a} is {ratio:.3g} times that of {b} in the geometric"
        f" mean (Wilcoxon signed-rank statistic {test.statistic:g},"
    )
    leader = (a, b) if test.rank_sum_positive > test.rank_sum_negative else (b, a)
    needed = tasks_for_signed_rank(d, test.alternative, alpha)
    return _sentence(facts, test, _Pairs(len(d), test.n, what), needed, leader, alpha, adjusted_p)


@dataclass(frozen=True)
class _Pairs:
    """How many pairs there are, how many of them differ, and what they are called."""

    n: int
    differing: int
    what: str


def _sentence(
    facts: str,
    test: McNemar | SignTest | SignedRank,
    pairs: _Pairs,
    needed: int | None,
    leader: tuple[str, str],
    alpha: float,
    adjusted_p: float | None,
) -> str:
    what = pairs.what
    if test.p_value is None:
        return (
            f"{facts.removesuffix(',')}: no pair differs): the data neither show a difference nor show that there is"
            f" none. Up to {unseen_share(pairs.n):.0%} of such {what} could differ without one of these doing so, and"
            f" {fewest_differing(alpha, test.alternative)} that differ are the fewest that could show anything."
        )
    p_value = test.p_value if adjusted_p is None else adjusted_p
    sides = "" if test.alternative == "two-sided" else ", one-sided"
    shown = f"{facts} p = {p_value:.3g}{sides}{'' if adjusted_p is None else ', adjusted'})"
    if p_value <= alpha:
        said = f"{shown}: the data support a difference in favour of {leader[0]} over {leader[1]}"
        return f"{said}." if needed is None else f"{said}; about {needed} {what} would show one of this size again."
    if smallest_p(pairs.differing, test.alternative) > alpha:
        differ = "differs" if pairs.differing == 1 else "differ"
        few = f"{pairs.differing} {_counted(pairs.differing, what)} that {differ}"
        verdict = f"with only {few} no outcome could have been significant"
    else:
        verdict = "the data do not support a difference"
    if needed is None:
        return f"{shown}: {verdict}, and these balance, so there is no size to plan for."
    if_true = f"were the true difference as large as the observed one, about {needed} {what} would be needed to show it"
    return f"{shown}: {verdict}; {if_true}."


def _counted(n: int, what: str) -> str:
    """The name of what is counted, which is a plural, for n of them."""
    if n != 1:
        return what
    return f"{what.removesuffix('ies')}y" if what.endswith("ies") else what.removesuffix("s")
