"""Where a second run pays: its benefit over the first run, against how often the first run's samples succeed already.

Coverage and benefit share a term if both are taken from the same samples of the first run, and a task that was lucky
there then shows high coverage and low benefit by chance alone. So coverage comes from the samples with even index, and
the benefit is over those with odd index.

Axis suffix: P tasks.
"""

import numpy as np

from assay.core.records import Record
from assay.report.analysis_runs import RunView
from assay.report.analysis_words import count, samples_for_rho
from assay.selection.curves import Success, is_success
from assay.selection.pool import Floats, Samples
from assay.stats.correlation import Correlation, spearman
from assay.stats.intervals import Interval, bootstrap_tasks
from assay.stats.paired import SignTest, sign_test
from assay.stats.power import sign_test_in_words

# Upper ends of the bands of coverage; the first holds the tasks on which no sample of the first half succeeds.
BANDS = ((0.0, "none"), (0.25, "up to 25%"), (0.75, "25% to 75%"), (1.0, "above 75%"))


class RegimeTask(Record):
    """One task. coverage: share of successes among the even samples of the first run; base: among its odd ones."""

    task: str
    coverage: float
    base: float
    second: float

    @property
    def benefit(self) -> float:
        """How much higher the second run's share is."""
        return self.second - self.base


class RegimeRow(Record):
    """The tasks of one band of coverage. benefit: mean over them; interval over tasks, None where there is none."""

    band: str
    tasks: int
    base: float | None
    second: float | None
    benefit: float | None
    interval: Interval | None


class RegimeTable(Record):
    """Benefit by band. left_out: shared tasks with fewer than two samples in the first run. test: second against base,
    by task. correlation: of coverage and benefit over tasks.
    """

    first: str
    second: str
    rule: Success
    rows: tuple[RegimeRow, ...]
    tasks: tuple[RegimeTask, ...]
    left_out: int
    test: SignTest
    correlation: Correlation | None
    in_words: str


def regime_table(first: RunView, second: RunView, rule: Success, rng: np.random.Generator) -> RegimeTable:
    """The last round of `second` against the first round of `first`, on the tasks that both have."""
    base, adapted = dict(first.first_round.by_task()), dict(second.last_round.by_task())
    shared = [key for key in base if key in adapted]
    usable = [key for key in shared if len(base[key]) > 1]
    tasks = tuple(_task(key, base[key], adapted[key], rule) for key in usable)
    test = sign_test([task.benefit for task in tasks])
    correlation = spearman([task.coverage for task in tasks], [task.benefit for task in tasks])
    return RegimeTable(
        first=first.name,
        second=second.name,
        rule=rule,
        rows=_rows(tasks, rng),
        tasks=tasks,
        left_out=len(shared) - len(usable),
        test=test,
        correlation=correlation,
        in_words=_words(first.name, second.name, test, correlation, len(tasks)),
    )


def _task(key: str, base: Samples, adapted: Samples, rule: Success) -> RegimeTask:
    won = is_success(base, rule)
    return RegimeTask(
        task=key,
        coverage=float(won[0::2].mean()),
        base=float(won[1::2].mean()),
        second=float(is_success(adapted, rule).mean()),
    )


def _rows(tasks: tuple[RegimeTask, ...], rng: np.random.Generator) -> tuple[RegimeRow, ...]:
    ends = np.array([end for end, _ in BANDS])
    band_P = np.searchsorted(ends, [task.coverage for task in tasks], side="left")
    rows = []
    for band, (_, name) in enumerate(BANDS):
        inside = [task for task, of_task in zip(tasks, band_P, strict=True) if of_task == band]
        benefits: Floats = np.array([task.benefit for task in inside])
        rows.append(
            RegimeRow(
                band=name,
                tasks=len(inside),
                base=float(np.mean([task.base for task in inside])) if inside else None,
                second=float(np.mean([task.second for task in inside])) if inside else None,
                benefit=float(benefits.mean()) if inside else None,
                interval=bootstrap_tasks(benefits, rng),
            )
        )
    return tuple(rows)


def _words(first: str, second: str, test: SignTest, correlation: Correlation | None, tasks: int) -> str:
    said = sign_test_in_words(test, second, first)
    if correlation is None:
        return (
            f"{said} Coverage and benefit vary too little over {count(tasks, 'task')} to say where a second run pays,"
            f" or to plan for it; a correlation of 0.5 would take about {samples_for_rho(0.5)} tasks to show."
        )
    said += f" Coverage and benefit correlate with rho = {correlation.rho:.2f} over {count(tasks, 'task')}"
    if correlation.p_value is not None and correlation.p_value <= 0.05:
        side = "low" if correlation.rho < 0 else "high"
        return f"{said} (p = {correlation.p_value:.3g}): the benefit lies where coverage is {side}."
    needed = samples_for_rho(correlation.rho)
    said += ", which does not show where a second run pays"
    return f"{said}." if needed is None else f"{said}; about {needed} tasks would show a correlation of that size."
