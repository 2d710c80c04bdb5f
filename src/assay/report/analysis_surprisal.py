"""Whether surprisal says anything about speed: length control, quartiles, and its spread within tasks."""

import numpy as np

from assay.core.records import Record
from assay.report.analysis_words import count, inside, listed, p_words, samples_for_rho, tasks_for_rate
from assay.selection.diagnostics import SurprisalDiagnostics
from assay.selection.outcomes import MIN_WITHIN_TASK_STD
from assay.selection.pool import Floats, Pool, Samples
from assay.stats.correlation import Correlation, spearman
from assay.stats.intervals import geometric_mean
from assay.stats.paired import SignedRank, SignTest, sign_test, signed_rank
from assay.stats.power import sign_test_in_words, tasks_for_signed_rank


class LengthControl(Record):
    """Rank correlations over `n` correct samples: surprisal and speedup, the same given length, and surprisal and
    length. within_task: mean over tasks of the rho within one; within_test: signed-rank test of these against 0.
    """

    n: int
    speedup: Correlation | None
    speedup_given_length: Correlation | None
    length: Correlation | None
    within_task: float | None
    within_test: SignedRank
    in_words: str


class QuartileRow(Record):
    """Correct samples of one quartile of surprisal, 1 = least surprising, over all tasks together.

    fast_1_*: shares of them. geomean_speedup: None where one quartile is empty of speedups. correlation: of surprisal
    and speedup within the quartile.
    """

    quartile: int
    low: float
    high: float
    n: int
    tasks: int
    fast_1_raw: float
    fast_1_verified: float
    geomean_speedup: float | None
    correlation: Correlation | None


class QuartileTable(Record):
    """Quartiles of surprisal. test: by task, verified share of the most against the least surprising quartile."""

    rows: tuple[QuartileRow, ...]
    test: SignTest
    in_words: str


class SpreadRow(Record):
    """How much the mean log-probability of a task's correct samples varies; std None for fewer than 2 of them."""

    task: str
    correct: int
    std: float | None
    is_arbitrary: bool


class SpreadTable(Record):
    """Spread by task, against the threshold under which the order by surprisal is close to arbitrary."""

    threshold: float
    rows: tuple[SpreadRow, ...]
    in_words: str


def usable(samples: Samples) -> np.ndarray:
    """Which samples have both a surprisal and a speedup: correct ones with at least one token."""
    return samples.is_correct & np.isfinite(samples.mean_logprob) & np.isfinite(samples.speedup)


def length_control(pool: Pool, found: SurprisalDiagnostics) -> LengthControl:
    """Correlations with and without length, from the diagnostics of the same pool."""
    kept = pool.samples.take(usable(pool.samples))
    rhos = np.array(list(found.within_task.values()))
    return LengthControl(
        n=found.n,
        speedup=found.pooled,
        speedup_given_length=found.given_length,
        length=spearman(-kept.mean_logprob, kept.n_tokens),
        within_task=found.mean_within_task,
        within_test=signed_rank(rhos),
        in_words=_length_words(found, rhos),
    )


def quartile_table(pool: Pool, found: SurprisalDiagnostics) -> QuartileTable:
    """What the quartiles of surprisal hold, from the diagnostics of the same pool."""
    keep = usable(pool.samples)
    kept, task_N = pool.samples.take(keep), pool.task[keep]
    surprisal = -kept.mean_logprob
    rows, shares = [], []
    for quartile in found.quartiles:
        within = (surprisal >= quartile.low) & (surprisal <= quartile.high)
        of_quartile, tasks = kept.take(within), task_N[within]
        mean = geometric_mean(of_quartile.speedup)
        shares.append({int(p): float(of_quartile.is_fast_verified[tasks == p].mean()) for p in np.unique(tasks)})
        rows.append(
            QuartileRow(
                quartile=quartile.quartile,
                low=quartile.low,
                high=quartile.high,
                n=quartile.n,
                tasks=len(np.unique(tasks)),
                fast_1_raw=float(of_quartile.is_fast_raw.mean()),
                fast_1_verified=float(of_quartile.is_fast_verified.mean()),
                geomean_speedup=mean and mean.value,
                correlation=quartile.correlation,
            )
        )
    both = sorted(set(shares[0]) & set(shares[-1])) if len(shares) > 1 else []
    test = sign_test([shares[-1][p] - shares[0][p] for p in both])
    return QuartileTable(rows=tuple(rows), test=test, in_words=_quartile_words(rows, test))


def spread_table(pool: Pool, found: SurprisalDiagnostics) -> SpreadTable:
    """Spread of the mean log-probability within each task."""
    rows = []
    for key, samples in pool.by_task():
        std = found.within_task_std.get(key)
        is_arbitrary = std is not None and std < MIN_WITHIN_TASK_STD
        rows.append(SpreadRow(task=key, correct=int(samples.is_correct.sum()), std=std, is_arbitrary=is_arbitrary))
    return SpreadTable(threshold=MIN_WITHIN_TASK_STD, rows=tuple(rows), in_words=_spread_words(rows))


def _length_words(found: SurprisalDiagnostics, rhos: Floats) -> str:
    if found.pooled is None:
        return (
            f"{count(found.n, 'correct sample')} with a speedup: too few, or too uniform, for a correlation, so nothing"
            " is supported either way."
        )
    said = (
        f"Over {count(found.n, 'correct sample')} the rank correlation of surprisal and speedup is"
        f" {found.pooled.rho:.2f} ({p_words(found.pooled.p_value)})"
    )
    if found.given_length is not None:
        said += f", and {found.given_length.rho:.2f} given length ({p_words(found.given_length.p_value)})"
    said += "; these p-values take samples of one task for independent, which they are not, and tasks differ in both."
    if needed := samples_for_rho(found.pooled.rho):
        said += f" A true correlation of that size would take about {needed} independent samples to show."
    if len(rhos) == 0:
        return (
            f"{said} Within a task no correlation exists, and a selector only ever chooses within one: there is nothing"
            " to plan for before some task has three correct samples that differ in both."
        )
    test = signed_rank(rhos)
    said += f" Within tasks, which is what a selector can use, the mean is {rhos.mean():.2f}"
    said += f" over {count(len(rhos), 'task')} ({p_words(test.p_value)}, signed rank)"
    needed = tasks_for_signed_rank(rhos)
    return said + ("." if needed is None else f"; about {needed} tasks would show one of that size.")


def _quartile_words(rows: list[QuartileRow], test: SignTest) -> str:
    if len(rows) < 2:
        return "Too few correct samples with a speedup to compare quartiles."
    sentence = sign_test_in_words(test, "the most surprising quartile", "the least surprising one")
    return (
        "The quartiles mix tasks, so a difference between rows may be one between tasks; within the tasks that have"
        f" samples in both ends: {inside(sentence)}"
    )


def _spread_words(rows: list[SpreadRow]) -> str:
    flat = [row.task for row in rows if row.is_arbitrary]
    unknown = sum(row.std is None for row in rows)
    said = (
        f"On {len(flat)} of {count(len(rows), 'task')} the mean log-probabilities of correct samples vary by less than"
    )
    said += f" {MIN_WITHIN_TASK_STD} (standard deviation), so that selection by surprisal or confidence is arbitrary"
    said += f" there: {listed(flat)}." if flat else " there."
    if unknown:
        said += f" {count(unknown, 'task has', 'tasks have')} fewer than two correct samples, and no spread."
    known = len(rows) - unknown
    if known:
        said += f" About {tasks_for_rate(len(flat) / known)} tasks would bring that share to within 10 points."
    return f"{said} A larger spread makes a choice possible, and does not show that it is a good one."
