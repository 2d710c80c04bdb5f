"""Paired tests between two sides of a comparison, task by task, and what they would need to show more.

Every test is exact and paired by task: McNemar on task outcomes, the sign test where an outcome is a share (several
seeds) or the rate of single samples, Wilcoxon's signed-rank test on log ratios of speedups. Holm's adjustment covers
each rule's family: all sides against the first, on every metric of that rule. The raw family exists beside published
figures; the claim is the verified one.

Axis suffix: P tasks.
"""

from collections.abc import Sequence

import numpy as np

from assay.core.records import Record
from assay.report.compare_cut import Part
from assay.report.compare_figures import RULES, Measures, first_rates, measures
from assay.selection.curves import Success
from assay.selection.pool import Floats
from assay.stats.intervals import Interval, bootstrap_tasks, clopper_pearson
from assay.stats.paired import McNemar, SignedRank, SignTest, cohens_h, holm, mcnemar, sign_test, signed_rank
from assay.stats.power import tasks_for_mcnemar, tasks_for_sign_test, tasks_for_signed_rank

ALPHA = 0.05
# Equal shares differ by rounding when they are means of the same numbers in another order.
_EQUAL = 1e-9


class ShareTest(Record):
    """A share of two sides. difference: other - first, with its interval over tasks; cohens_h: of other and first.

    test: a is the other side and b the first; a win is a task on which the other is ahead. Where one round was cut, the
    shares are averages over K-subsets and the test is of the first K samples. adjusted_p: after Holm. tasks_needed: to
    show a difference of the observed size; None where none was observed.
    """

    first: float
    other: float
    difference: float
    interval: Interval | None
    cohens_h: float
    test: McNemar | SignTest
    adjusted_p: float | None
    tasks_needed: int | None


class SpeedTest(Record):
    """Speedups as measured afresh, over the `tasks` tasks on which both are known (`left_out`: the others).

    ratio: geometric mean of other over first, None for no task. log_ratios: by task, of which the test is made.
    """

    ratio: float | None
    tasks: int
    left_out: int
    log_ratios: tuple[float, ...]
    test: SignedRank
    adjusted_p: float | None
    tasks_needed: int | None


class Contrast(Record):
    """One side against the first. seeds: runs of each side that the tests are made of.

    success: of whole tasks; rate: of single samples, the first `samples` of each task on both sides.
    """

    first: str
    other: str
    seeds: int
    samples: int
    success: dict[Success, ShareTest]
    rate: dict[Success, ShareTest]
    speed: SpeedTest


def contrasts(names: Sequence[str], parts: Sequence[Sequence[Part]], rng: np.random.Generator) -> tuple[Contrast, ...]:
    """Every further side against the first, adjusted together; `parts` by side, all on the same tasks."""
    found = [_contrast(names[0], name, parts[0], side, rng) for name, side in zip(names[1:], parts[1:], strict=True)]
    return _adjusted(found)


def difference_interval(differences_P: Floats, rng: np.random.Generator) -> Interval | None:
    """Interval of a mean difference of task outcomes (-1, 0 or 1, or means of such): bootstrap over tasks.

    Where all outcomes agree, or all differ alike, no resample differs from another: the exact binomial interval of the
    share of tasks that differ takes its place. None for fewer than 2 tasks, and for other equal differences.
    """
    n = len(differences_P)
    if n < 2:
        return None
    if np.ptp(differences_P) > _EQUAL:
        return bootstrap_tasks(differences_P, rng)
    differing = clopper_pearson(0, n) if abs(differences_P[0]) < _EQUAL else clopper_pearson(n, n)
    if differing is None or not np.isclose(abs(differences_P[0]), (0.0, 1.0)).any():
        return None
    ends = {0: (-differing.high, differing.high), 1: (differing.low, 1.0), -1: (-1.0, -differing.low)}
    low, high = ends[round(float(differences_P[0]))]
    return differing.model_copy(update={"low": low, "high": high})


# -- parts ------------------------------------------------------------------------------------------------------


def _contrast(
    first_name: str, other_name: str, first: Sequence[Part], other: Sequence[Part], rng: np.random.Generator
) -> Contrast:
    # Unequal numbers of draws would tilt a test on shares, so both sides give as many seeds and as many samples.
    seeds = min(len(first), len(other))
    k = min(part.k for part in (*first[:seeds], *other[:seeds]))
    all_of = measures(first), measures(other)
    tested = measures(first[:seeds]), measures(other[:seeds])
    success, rate = {}, {}
    for rule in RULES:
        test = _outcome_test(tested[0].drawn[rule], tested[1].drawn[rule])
        success[rule] = _share_test(all_of[0].success[rule], all_of[1].success[rule], test, rng)
        counted = [first_rates(side[:seeds], rule, k) for side in (first, other)]
        test = sign_test(_apart(counted[1] - counted[0]))
        rate[rule] = _share_test(all_of[0].rate[rule], all_of[1].rate[rule], test, rng, is_outcome=False)
    return Contrast(
        first=first_name,
        other=other_name,
        seeds=seeds,
        samples=k,
        success=success,
        rate=rate,
        speed=_speed_test(tested[0], tested[1]),
    )


def _outcome_test(first_P: Floats, other_P: Floats) -> McNemar | SignTest:
    if np.isin(np.concatenate([first_P, other_P]), (0.0, 1.0)).all():
        return mcnemar(other_P > 0.5, first_P > 0.5)
    return sign_test(_apart(other_P - first_P))


def _share_test(
    first_P: Floats, other_P: Floats, test: McNemar | SignTest, rng: np.random.Generator, *, is_outcome: bool = True
) -> ShareTest:
    first, other = (float(np.clip(values.mean(), 0, 1)) for values in (first_P, other_P))
    differences = _apart(other_P - first_P)
    return ShareTest(
        first=first,
        other=other,
        difference=other - first,
        interval=difference_interval(differences, rng) if is_outcome else bootstrap_tasks(differences, rng),
        cohens_h=cohens_h(other, first),
        test=test,
        adjusted_p=None,
        tasks_needed=tasks_for_mcnemar(test) if isinstance(test, McNemar) else tasks_for_sign_test(test),
    )


def _speed_test(first: Measures, other: Measures) -> SpeedTest:
    differences = other.log_speed - first.log_speed
    logs = _apart(differences[~np.isnan(differences)])
    return SpeedTest(
        ratio=float(np.exp(logs.mean())) if len(logs) else None,
        tasks=len(logs),
        left_out=len(differences) - len(logs),
        log_ratios=tuple(logs.tolist()),
        test=signed_rank(logs),
        adjusted_p=None,
        tasks_needed=tasks_for_signed_rank(logs),
    )


def _adjusted(found: Sequence[Contrast]) -> tuple[Contrast, ...]:
    raw = holm([share.test.p_value for one in found for share in (one.success["raw"], one.rate["raw"])])
    verified = holm(
        [test.test.p_value for one in found for test in (one.success["verified"], one.rate["verified"], one.speed)]
    )
    adjusted = []
    for place, one in enumerate(found):
        (success_raw, rate_raw) = raw[2 * place : 2 * place + 2]
        (success, rate, speed) = verified[3 * place : 3 * place + 3]
        adjusted.append(
            one.model_copy(
                update={
                    "success": {
                        "raw": _with(one.success["raw"], success_raw),
                        "verified": _with(one.success["verified"], success),
                    },
                    "rate": {"raw": _with(one.rate["raw"], rate_raw), "verified": _with(one.rate["verified"], rate)},
                    "speed": one.speed.model_copy(update={"adjusted_p": speed}),
                }
            )
        )
    return tuple(adjusted)


def _with(share: ShareTest, adjusted_p: float | None) -> ShareTest:
    return share.model_copy(update={"adjusted_p": adjusted_p})


def _apart(differences: Floats) -> Floats:
    return np.where(np.abs(differences) < _EQUAL, 0.0, differences)
