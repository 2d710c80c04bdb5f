"""Selectors against a random pick and against each other, and what length has to do with it.

Axis suffix: P tasks.
"""

from collections.abc import Sequence

import numpy as np

from assay.core.records import Record
from assay.report.analysis_others import on_curve
from assay.report.analysis_words import count, p_words, share
from assay.selection.curves import curve_of, success_values
from assay.selection.outcomes import Picked, SelectionReport, SelectorOutcome, selection_report
from assay.selection.pool import Floats, Pool
from assay.selection.selectors import Selector
from assay.stats.best_of_k import EquivalentK
from assay.stats.paired import McNemar, SignedRank, SignTest, cohens_h, holm, mcnemar, sign_test, signed_rank
from assay.stats.power import sign_test_in_words
from assay.stats.random_pick import RandomPickTest, random_pick_test, tasks_for_random_pick

# The oracle times everything, and the random pick is what the others are held against: neither is a choice.
YARDSTICKS = ("oracle", "random-correct")
CHAMPION = "surprisal"  # the published proposal, held against every other selector
ALPHA = 0.05


class SelectorRow(Record):
    """A selector on the whole pool. outcome: its figures, with intervals over tasks. equivalent_k: the K at which the
    best of K random samples is as often verified. against_random: exact test of its verified picks against a random
    correct sample; adjusted_p: after Holm over all rows. cohens_h: of the two shares. tasks_needed: to show a surplus
    of the observed size. None for the oracle and the random pick themselves, and equivalent_k where the samples
    are no random ones (a shortlist by rank) or the curve is flat.
    """

    selector: str
    outcome: SelectorOutcome
    equivalent_k: EquivalentK | None
    against_random: RandomPickTest | None
    adjusted_p: float | None
    cohens_h: float | None
    tasks_needed: int | None


class SelectorPair(Record):
    """Two selectors on the same tasks. success: sign test on verified success; mcnemar: the same test with its four
    counts, where every pick is certain (no ties). speed: signed-rank test on log ratios of the picks' speedups, over
    the tasks on which both have one; speed_ratio: geometric mean of a over b there. adjusted: after Holm, over all
    pairs, successes and speeds apart.
    """

    a: str
    b: str
    success: SignTest
    success_adjusted_p: float | None
    mcnemar: McNemar | None
    cohens_h: float
    speed: SignedRank
    speed_adjusted_p: float | None
    speed_ratio: float | None
    speed_tasks: int


class SelectorTable(Record):
    """All selectors of one pool."""

    samples_per_task: int
    rows: tuple[SelectorRow, ...]
    pairs: tuple[SelectorPair, ...]
    warnings: tuple[str, ...]
    in_words: str


def selector_table(
    pool: Pool, selectors: Sequence[Selector], rng: np.random.Generator, is_random: bool = True
) -> SelectorTable:
    """Every selector with its tests; the pool has samples of every task. is_random: they are independent draws."""
    report = selection_report(pool, rng, selectors)
    curve = curve_of(*success_values(pool, "verified")) if is_random else None
    success = {name: _success(report, name) for name in report.selectors}
    tests = {name: _against_random(name, success) for name in report.selectors}
    known = [name for name, test in tests.items() if test is not None]
    adjusted = dict(zip(known, holm([_p(tests[name]) for name in known]), strict=True))
    rows = tuple(
        SelectorRow(
            selector=name,
            outcome=outcome,
            equivalent_k=curve and on_curve(curve, outcome.fast_1_verified),
            against_random=tests[name],
            adjusted_p=adjusted.get(name),
            cohens_h=_effect(success, name, "random-correct") if name in adjusted else None,
            tasks_needed=tasks_for_random_pick(success[name], success["random-correct"]) if name in adjusted else None,
        )
        for name, outcome in report.selectors.items()
    )
    pairs = _pairs(report, success)
    n = int(np.diff(pool.offsets).min())
    return SelectorTable(
        samples_per_task=n, rows=rows, pairs=pairs, warnings=report.warnings, in_words=_words(rows, pairs)
    )


def _success(report: SelectionReport, name: str) -> Floats:
    picks = [row.picks[name] for row in report.tasks]
    return np.array([0.0 if pick is None else pick.fast_1_verified for pick in picks])


def _against_random(name: str, success: dict[str, Floats]) -> RandomPickTest | None:
    if name in YARDSTICKS or "random-correct" not in success:
        return None
    return random_pick_test(success[name], np.clip(success["random-correct"], 0, 1))


def _p(test: RandomPickTest | None) -> float | None:
    return None if test is None else test.p_value


def _effect(success: dict[str, Floats], a: str, b: str) -> float:
    return cohens_h(*(float(np.clip(success[name].mean(), 0, 1)) for name in (a, b)))


def _pairs(report: SelectionReport, success: dict[str, Floats]) -> tuple[SelectorPair, ...]:
    if CHAMPION not in success:
        return ()
    rivals = [name for name in success if name not in (*YARDSTICKS, CHAMPION)]
    successes = {name: sign_test(_apart(success[CHAMPION] - success[name])) for name in rivals}
    logs = {name: _log_ratios(report, CHAMPION, name) for name in rivals}
    speeds = {name: signed_rank(logs[name]) for name in rivals}
    success_p = holm([successes[name].p_value for name in rivals])
    speed_p = holm([speeds[name].p_value for name in rivals])
    return tuple(
        SelectorPair(
            a=CHAMPION,
            b=name,
            success=successes[name],
            success_adjusted_p=of_success,
            mcnemar=_certain_mcnemar(success[CHAMPION], success[name]),
            cohens_h=_effect(success, CHAMPION, name),
            speed=speeds[name],
            speed_adjusted_p=of_speed,
            speed_ratio=float(np.exp(logs[name].mean())) if len(logs[name]) else None,
            speed_tasks=len(logs[name]),
        )
        for name, of_success, of_speed in zip(rivals, success_p, speed_p, strict=True)
    )


def _apart(differences: Floats) -> Floats:
    """Expected successes are exact up to rounding, and equal ones must count as ties."""
    return np.where(np.abs(differences) < 1e-9, 0.0, differences)


def _certain_mcnemar(a: Floats, b: Floats) -> McNemar | None:
    both = np.concatenate([a, b])
    return mcnemar(a > 0.5, b > 0.5) if np.isin(both, (0.0, 1.0)).all() else None


def _log_ratios(report: SelectionReport, a: str, b: str) -> Floats:
    def speed(pick: Picked | None) -> float | None:
        return None if pick is None else pick.speedup

    speeds = [(speed(row.picks[a]), speed(row.picks[b])) for row in report.tasks]
    return _apart(np.array([np.log(one / other) for one, other in speeds if one is not None and other is not None]))


def _words(rows: Sequence[SelectorRow], pairs: Sequence[SelectorPair]) -> str:
    tested = [row for row in rows if row.against_random is not None]
    supported = [row for row in tested if row.adjusted_p is not None and row.adjusted_p <= ALPHA]
    if not tested:
        said = "No selector was held against a random correct sample."
    elif supported:
        names = ", ".join(
            f"{row.selector} ({'better' if (row.cohens_h or 0) > 0 else 'worse'}, adjusted {p_words(row.adjusted_p)})"
            for row in supported
        )
        said = f"Against a random correct sample the data support a difference for {names}, by verified success."
    else:
        said = _none_supported(tested)
    pair = next((pair for pair in pairs if pair.b == "confidence"), None)
    if pair is not None:
        said += " " + sign_test_in_words(pair.success, pair.a, pair.b, adjusted_p=pair.success_adjusted_p)
    return (
        f"{said} The oracle and the top-m selectors choose by the very speedups that are shown, so theirs are too high:"
        " measured again, they are what the run's table gives."
    )


def _none_supported(tested: Sequence[SelectorRow]) -> str:
    most = max(tested, key=lambda row: abs(row.cohens_h or 0.0))
    test = most.against_random
    said = (
        f"By verified success none of {count(len(tested), 'selector')} differs from a random correct sample beyond"
        " chance (exact test, Holm)"
    )
    if test is None or test.p_value is None:
        return (
            f"{said}: on no task can a random pick go either way, so these data cannot tell them apart, however many"
            " such tasks there are."
        )
    said += (
        f"; the largest difference is that of {most.selector} ({share(test.observed / test.tasks)} against"
        f" {share(min(1.0, test.expected / test.tasks))}, {p_words(test.p_value)} before adjustment)"
    )
    if most.tasks_needed is None:
        return f"{said}."
    return f"{said}, and about {most.tasks_needed} tasks like these would be needed to show one of that size."
