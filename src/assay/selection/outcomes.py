"""The table over tasks and selectors: what each selector would have kept of one pool, and what that was worth.

`SelectionReport` is the document of `assay select --json`.
"""

from collections.abc import Sequence

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record, Verdict
from assay.selection.pool import NO_VERDICT, VERDICTS, Floats, Pool, Samples
from assay.selection.selectors import Pick, Selector, available, pick
from assay.stats.correlation import within_task_std
from assay.stats.intervals import Interval, bootstrap_tasks, clopper_pearson, geometric_mean

# Below this spread of mean log-probabilities within a task, the order by surprisal is close to arbitrary.
MIN_WITHIN_TASK_STD = 0.15


class Picked(Record):
    """What a selector keeps of one task. index, round: the likeliest sample (the earliest of equally likely ones).

    probability: its chance, below 1 where ties or randomness are left. fast_1_raw, fast_1_verified: expected over all
    samples that may be kept. speedup, mean_speedup: geometric and arithmetic mean over them, None where one of them has
    no measured speedup.
    """

    round: int
    index: int
    probability: float
    fast_1_raw: float
    fast_1_verified: float
    speedup: float | None
    mean_speedup: float | None
    verdict: Verdict | None
    timing_runs: int


class TaskRow(Record):
    """One task of the table. best_*: the correct sample with the highest ratio, as it was measured for the choice.

    That maximum is biased upwards by selection; a figure to report is measured again. picks: None where a selector
    found no correct sample that it could score.
    """

    task: str
    samples: int
    correct: int
    distinct_correct: int | None
    best_speedup: float | None
    best_low: float | None
    best_high: float | None
    verdict: Verdict | None
    mean_logprob_std: float | None
    picks: dict[str, Picked | None]


class SelectorOutcome(Record):
    """A selector over all tasks; a task without a pick counts as a failure. "Fastest" is by the paired ratio.

    fast_1_raw: share of tasks whose pick is correct with a point estimate above 1 (the published definition);
    fast_1_verified: whose pick's verdict is `faster`. geomean_speedup, mean_speedup: over the `tasks_with_speedup`
    tasks whose pick has one (the arithmetic mean only because it was published: one outlier rules it). timing_runs:
    samples timed to choose, all tasks together. interval: of fast_1_verified, see `success_interval`.
    """

    fast_1_raw: float
    fast_1_verified: float
    geomean_speedup: float | None
    mean_speedup: float | None
    timing_runs: int
    interval: Interval | None
    tasks: int
    tasks_with_pick: int
    tasks_with_speedup: int


class SelectionReport(Record):
    """Selectors over one pool."""

    tasks: tuple[TaskRow, ...]
    selectors: dict[str, SelectorOutcome]
    warnings: tuple[str, ...]


def selection_report(
    pool: Pool, rng: np.random.Generator, selectors: Sequence[Selector] | None = None, level: float = 0.95
) -> SelectionReport:
    """Every selector on every task; `selectors` defaults to the built-in ones that the pool has the columns for.

    UsageError for a pool without samples, and for a selector whose column the pool lacks.
    """
    if len(pool) == 0:
        raise UsageError("There is nothing to select from: the run has no stored attempts.")
    chosen = available(pool.samples) if selectors is None else tuple(selectors)
    for selector in chosen:
        if selector.needs is not None and getattr(pool.samples, selector.needs) is None:
            raise UsageError(f"Selector {selector.name!r} needs {selector.needs}, which this run did not store.")
    rows = tuple(_task_row(key, samples, chosen) for key, samples in pool.by_task())
    # One seed for all, so that a selector's interval does not depend on which others were asked for.
    seed = int(rng.integers(2**32))
    outcomes = {
        s.name: _outcome([row.picks[s.name] for row in rows], np.random.default_rng(seed), level) for s in chosen
    }
    return SelectionReport(tasks=rows, selectors=outcomes, warnings=_warnings(rows))


def _task_row(key: str, samples: Samples, selectors: Sequence[Selector]) -> TaskRow:
    correct = samples.take(samples.is_correct)
    measured = correct.take(~np.isnan(correct.speedup))
    best = int(np.argmax(measured.speedup)) if len(measured) else None
    programs = correct.candidate[correct.candidate >= 0]
    logprobs = correct.mean_logprob[~np.isnan(correct.mean_logprob)]
    return TaskRow(
        task=key,
        samples=len(samples),
        correct=len(correct),
        distinct_correct=len(np.unique(programs)) if len(programs) == len(correct) else None,
        best_speedup=_number(measured.speedup, best),
        best_low=_number(measured.low, best),
        best_high=_number(measured.high, best),
        verdict=None if best is None else _verdict(int(measured.verdict[best])),
        mean_logprob_std=within_task_std(logprobs, [key] * len(logprobs)).get(key),
        picks={selector.name: _picked(pick(selector, samples), samples) for selector in selectors},
    )


def _picked(found: Pick | None, samples: Samples) -> Picked | None:
    if found is None:
        return None
    kept = samples.take(found.rows)
    likeliest = int(np.argmax(found.weights))
    has_speedup = not np.isnan(kept.speedup).any()
    return Picked(
        round=int(kept.round[likeliest]),
        index=int(kept.index[likeliest]),
        probability=float(found.weights[likeliest]),
        fast_1_raw=_expected(found.weights, kept.is_fast_raw),
        fast_1_verified=_expected(found.weights, kept.is_fast_verified),
        speedup=float(np.exp(found.weights @ np.log(kept.speedup))) if has_speedup else None,
        mean_speedup=float(found.weights @ kept.speedup) if has_speedup else None,
        verdict=_verdict(int(kept.verdict[likeliest])),
        timing_runs=found.timing_runs,
    )


def _outcome(picks: Sequence[Picked | None], rng: np.random.Generator, level: float) -> SelectorOutcome:
    raw_P = np.array([0.0 if p is None else p.fast_1_raw for p in picks])
    verified_P = np.array([0.0 if p is None else p.fast_1_verified for p in picks])
    speedups = [p.speedup for p in picks if p is not None and p.speedup is not None]
    means = [p.mean_speedup for p in picks if p is not None and p.mean_speedup is not None]
    geomean = geometric_mean(speedups)
    return SelectorOutcome(
        fast_1_raw=float(raw_P.mean()),
        fast_1_verified=float(verified_P.mean()),
        geomean_speedup=geomean and geomean.value,
        mean_speedup=float(np.mean(means)) if means else None,
        timing_runs=sum(p.timing_runs for p in picks if p is not None),
        interval=success_interval(verified_P, rng, level),
        tasks=len(picks),
        tasks_with_pick=sum(p is not None for p in picks),
        tasks_with_speedup=len(speedups),
    )


def success_interval(success_P: Floats, rng: np.random.Generator, level: float = 0.95) -> Interval | None:
    """Interval of a mean success over tasks: bootstrap over tasks, or exact binomial where all are 0 or all are 1.

    The bootstrap knows no uncertainty in the second case, although few tasks leave much. None for fewer than 2 tasks,
    and where all tasks have one and the same success strictly between 0 and 1.
    """
    if len(success_P) < 2:
        return None
    if np.all(success_P == 0) or np.all(success_P == 1):
        return clopper_pearson(int(success_P.sum()), len(success_P), level)
    return bootstrap_tasks(success_P, rng, level)


def _warnings(rows: Sequence[TaskRow]) -> tuple[str, ...]:
    flat = [r.task for r in rows if r.mean_logprob_std is not None and r.mean_logprob_std < MIN_WITHIN_TASK_STD]
    without = [row.task for row in rows if row.correct == 0]
    found = []
    if flat:
        found.append(
            f"On {len(flat)} of {len(rows)} tasks the mean log-probabilities of the correct samples vary by less than"
            f" {MIN_WITHIN_TASK_STD} (standard deviation), so selection by surprisal or confidence is arbitrary there:"
            f" {_listed(flat)}."
        )
    if without:
        found.append(f"{len(without)} of {len(rows)} tasks have no correct sample: {_listed(without)}.")
    return tuple(found)


def _listed(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _number(column: Floats, row: int | None) -> float | None:
    return None if row is None or np.isnan(column[row]) else float(column[row])


def _verdict(code: int) -> Verdict | None:
    return None if code == NO_VERDICT else VERDICTS[code]


def _expected(weights: Floats, holds: np.ndarray) -> float:
    # A certain success must read 1, not 1 less a rounding error.
    return 1.0 if holds.all() else float(weights @ holds)
