"""The tables of a run, as records made from what is stored: by task, and by selector."""

from collections.abc import Sequence

from assay.core.ledger import Spend
from assay.core.records import Evaluation, Record, Status, Verdict
from assay.report.adaptation import Adaptation, adaptation
from assay.report.devices import DeviceUse, device_use
from assay.report.refinement import Refined, refined
from assay.report.repeats import RoundRepeats, round_repeats
from assay.runs.budget import Budget
from assay.runs.pools import select
from assay.runs.schema import Purpose
from assay.runs.store import PoolColumns, RunStore
from assay.runs.winners import pick_fastest
from assay.selection.outcomes import SelectionReport
from assay.selection.selectors import Selector


class Measured(Record):
    """One evaluation, as a table shows it; numbers are None unless the program is correct."""

    candidate_hash: str | None
    status: Status
    verdict: Verdict | None
    ratio: float | None
    low: float | None
    high: float | None
    raw: float | None

    @property
    def is_fast_raw(self) -> bool:
        """What a point-estimate rule would have said."""
        return self.raw is not None and self.raw > 1.0


class TaskLine(Record):
    """One task. Counts are of samples; distinct is of programs.

    fast_raw: correct with a point estimate above 1; fast_verified: with the verdict `faster`. picked: the program to
    report, at its first look; again: the same one measured afresh, which is the number to report; control: an identical
    copy of the reference, the first of all `controls`. None where there is none.
    """

    task: str
    samples: int
    programs: int
    distinct: int
    correct: int
    fast_raw: int
    fast_verified: int
    picked: Measured | None
    again: Measured | None
    control: Measured | None
    controls: tuple[Measured, ...]

    @property
    def is_win(self) -> bool:
        """Faster at first look, and again when measured afresh."""
        return all(one is not None and one.verdict is Verdict.FASTER for one in (self.picked, self.again))


class SelectorLine(Record):
    """One selector. speedup: geometric mean at first look.

    measured_again: of its picks that were `faster` at first look; confirmed: those that were `faster` again.
    """

    selector: str
    fast_1_raw: float
    fast_1_verified: float
    speedup: float | None
    timing_runs: int
    measured_again: int
    confirmed: int


class RunTables(Record):
    """Everything that the page of a run shows. adaptation: of a run of several rounds that learned.

    budget: what the search could spend, None without a limit; ended_by: the limit that ended it, None where none did.
    """

    directory: str
    model: str
    strategy: str
    is_complete: bool
    tasks: tuple[TaskLine, ...]
    selectors: tuple[SelectorLine, ...]
    warnings: tuple[str, ...]
    spent: Spend
    adaptation: Adaptation | None = None
    budget: Budget | None = None
    ended_by: str | None = None
    start: str | None = None
    devices: DeviceUse | None = None
    refinement: Refined | None = None
    repeats: tuple[RoundRepeats, ...] = ()


def run_tables(store: RunStore, selectors: tuple[Selector, ...] | None = None) -> RunTables:
    """The tables of a run, finished or not."""
    columns = store.pool_columns()
    keys = [task.key for task in store.tasks()]
    again = store.evaluations(Purpose.SELECTED)
    selection = select(store, selectors) if any(status is not None for status in columns.status) else None
    config = store.config
    strategy = config["strategy"]
    return RunTables(
        directory=str(store.directory),
        model=str(config["model"]),
        strategy=str(strategy["type"]) if isinstance(strategy, dict) else str(strategy),
        is_complete=store.is_complete(),
        tasks=task_lines(keys, columns, store.evaluations(Purpose.SEARCH), again, store.evaluations(Purpose.CONTROL)),
        selectors=selector_lines(selection, columns, again) if selection else (),
        warnings=selection.warnings if selection else ("Nothing is evaluated yet.",),
        spent=store.ledger.total,
        adaptation=adaptation(store),
        refinement=refined(store),
        budget=None if config.get("budget") is None else Budget.model_validate(config["budget"]),
        ended_by=store.ended_by(),
        start=None if config.get("start") is None else str(config["start"]),
        devices=device_use(store),
        repeats=round_repeats(store, columns),
    )


def task_lines(
    keys: Sequence[str],
    columns: PoolColumns,
    looks: Sequence[Evaluation],
    again: Sequence[Evaluation],
    controls: Sequence[Evaluation],
) -> tuple[TaskLine, ...]:
    """One line for each of `keys`, from the columns of all samples and the evaluations of each purpose."""
    rows: dict[str, list[int]] = {key: [] for key in keys}
    for row, key in enumerate(columns.task_key):
        rows[key].append(row)
    remeasured = {(one.task_key, one.candidate_hash): one for one in again}
    copies: dict[str, list[Measured]] = {key: [] for key in keys}
    for one in controls:
        copies[one.task_key] += [found] if (found := _measured(one)) else []
    looks_of: dict[str, list[Evaluation]] = {key: [] for key in keys}
    for look in looks:
        looks_of[look.task_key].append(look)
    lines = []
    for key in keys:
        picked = next(iter(pick_fastest(looks_of[key], 1)), None)
        hashes = [columns.candidate_hash[row] for row in rows[key] if columns.candidate_hash[row] is not None]
        raw = [columns.raw[row] for row in rows[key]]
        lines.append(
            TaskLine(
                task=key,
                samples=len(rows[key]),
                programs=len(hashes),
                distinct=len(set(hashes)),
                correct=sum(columns.status[row] == Status.CORRECT for row in rows[key]),
                fast_raw=sum(ratio is not None and ratio > 1.0 for ratio in raw),
                fast_verified=sum(columns.verdict[row] == Verdict.FASTER for row in rows[key]),
                picked=_measured(picked),
                again=_measured(remeasured.get((key, picked.candidate_hash)) if picked else None),
                control=next(iter(copies[key]), None),
                controls=tuple(copies[key]),
            )
        )
    return tuple(lines)


def selector_lines(
    selection: SelectionReport, columns: PoolColumns, again: Sequence[Evaluation]
) -> tuple[SelectorLine, ...]:
    """One line for each selector; whether its picks held up is known for those that were measured again."""
    programs = {
        (task, round, index): candidate
        for task, round, index, candidate in zip(
            columns.task_key, columns.round, columns.index, columns.candidate_hash, strict=True
        )
    }
    verdicts = {(one.task_key, one.candidate_hash): one.verdict for one in again}
    lines = []
    for name, outcome in selection.selectors.items():
        picks = [(row.task, row.picks[name]) for row in selection.tasks]
        kept = [
            (task, programs[task, pick.round, pick.index])
            for task, pick in picks
            if pick is not None and pick.verdict is Verdict.FASTER
        ]
        held = [verdicts[place] for place in kept if place in verdicts]
        lines.append(
            SelectorLine(
                selector=name,
                fast_1_raw=outcome.fast_1_raw,
                fast_1_verified=outcome.fast_1_verified,
                speedup=outcome.geomean_speedup,
                timing_runs=outcome.timing_runs,
                measured_again=len(held),
                confirmed=sum(verdict is Verdict.FASTER for verdict in held),
            )
        )
    return tuple(lines)


def _measured(evaluation: Evaluation | None) -> Measured | None:
    if evaluation is None:
        return None
    speedup = evaluation.speedup
    return Measured(
        candidate_hash=evaluation.candidate_hash,
        status=evaluation.status,
        verdict=evaluation.verdict,
        ratio=speedup and speedup.ratio,
        low=speedup and speedup.low,
        high=speedup and speedup.high,
        raw=speedup and speedup.raw,
    )
