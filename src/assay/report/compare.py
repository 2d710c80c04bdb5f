"""Runs held against each other, paired by task and at a matched budget.

`Comparison` is the document of `assay compare --json`. It is a pure function of what the runs have stored.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.report.compare_cut import Budget, BudgetLine, Part, budget_lines, cut, shared_tasks
from assay.report.compare_figures import SideFigures, Winner, side_figures, winner
from assay.report.compare_runs import Arm, ComparedRun, Setting, arms_of, check, read_compared, settings_apart
from assay.report.compare_tests import Contrast, contrasts
from assay.report.compare_words import budget_refusal, budget_warnings, contrast_in_words, cut_notes
from assay.runs.store import RunStore


class TaskSide(Record):
    """One side on one task. Counts are of samples, of all its runs together; winners: one for each run."""

    samples: int
    correct: int
    fast_raw: int
    fast_verified: int
    winners: tuple[Winner, ...]


class PairedTask(Record):
    """One task on every side, in the order of the sides."""

    task: str
    sides: tuple[TaskSide, ...]


class Comparison(Record):
    """Sides, the first of which all others are held against. tasks: those that all runs share (`tasks_left_out`: the
    others). at: the spend that all were cut to. is_matched: the budgets agree. settings: in which the sides differ.
    """

    sides: tuple[SideFigures, ...]
    tasks: tuple[PairedTask, ...]
    tasks_left_out: int
    at: Budget | None
    budgets: tuple[BudgetLine, ...]
    is_matched: bool
    settings: tuple[Setting, ...]
    contrasts: tuple[Contrast, ...]
    in_words: tuple[str, ...]
    warnings: tuple[str, ...]


def compare_directories(
    directories: Sequence[Path], *, is_grouped: bool = False, at: Budget | None = None, is_anyway: bool = False
) -> Comparison:
    """`compare` of the runs in these directories. UsageError for one that holds no run, or is named twice."""
    if len({directory.resolve() for directory in directories}) < len(directories):
        raise UsageError("a run was named twice: a run is no evidence beside itself")
    with ExitStack() as stack:
        runs = read_compared([stack.enter_context(RunStore.open(directory)) for directory in directories])
    return compare(runs, is_grouped=is_grouped, at=at, is_anyway=is_anyway)


def compare_at_common_spend(directories: Sequence[Path]) -> Comparison:
    """The runs as they are where their budgets agree, else all cut to the rollouts of the smallest."""
    with ExitStack() as stack:
        runs = read_compared([stack.enter_context(RunStore.open(directory)) for directory in directories])
    arms = arms_of(runs, is_grouped=False)
    check(arms, is_anyway=False)
    lines = budget_lines(cut(arms, shared_tasks(arms), None))
    (rollouts,) = (line for line in lines if line.resource == "rollouts")
    at = None if rollouts.is_matched else Budget(resource="rollouts", amount=min(rollouts.amounts))
    return compare(runs, at=at)


def compare(
    runs: Sequence[ComparedRun],
    *,
    is_grouped: bool = False,
    at: Budget | None = None,
    is_anyway: bool = False,
    seed: int = 0,
) -> Comparison:
    """All runs against the first one, or, grouped by configuration, all configurations against the first one's.

    at: cut every run to this spend. is_anyway: compare although budgets, devices or rules differ, with a warning of
    each. UsageError for what cannot be compared: see `arms_of`, `check` and `cut`. The same runs and seed give the same
    intervals.
    """
    arms = arms_of(runs, is_grouped=is_grouped)
    warnings = check(arms, is_anyway=is_anyway)
    tasks = shared_tasks(arms)
    parts = cut(arms, tasks, at)
    lines = budget_lines(parts)
    names = [arm.name for arm in arms]
    deciding = "rollouts" if at is None else at.resource
    is_matched = all(line.is_matched for line in lines if line.resource == deciding)
    if not is_matched and not is_anyway:
        raise UsageError(budget_refusal(names, lines))
    rng = np.random.default_rng(seed)
    sides = tuple(side_figures(arm, part, rng) for arm, part in zip(arms, parts, strict=True))
    found = contrasts(names, parts, rng)
    return Comparison(
        sides=sides,
        tasks=tuple(_paired(task, parts) for task in tasks),
        tasks_left_out=len({key for run in runs for key in run.view.pool.task_keys}) - len(tasks),
        at=at,
        budgets=lines,
        is_matched=is_matched,
        settings=settings_apart(arms),
        contrasts=found,
        in_words=tuple(contrast_in_words(one, is_matched=is_matched) for one in found),
        warnings=(*warnings, *_unequal(arms), *cut_notes(sides, at), *budget_warnings(names, lines, at)),
    )


def _paired(task: str, parts: Sequence[Sequence[Part]]) -> PairedTask:
    return PairedTask(task=task, sides=tuple(_task_side(task, side) for side in parts))


def _task_side(task: str, parts: Sequence[Part]) -> TaskSide:
    of_task = [part.pool.of(part.pool.task_keys.index(task)) for part in parts]
    return TaskSide(
        samples=sum(map(len, of_task)),
        correct=sum(int(samples.is_correct.sum()) for samples in of_task),
        fast_raw=sum(int(samples.is_fast_raw.sum()) for samples in of_task),
        fast_verified=sum(int(samples.is_fast_verified.sum()) for samples in of_task),
        winners=tuple(winner(part, task) for part in parts),
    )


def _unequal(arms: Sequence[Arm]) -> list[str]:
    if len({len(arm.runs) for arm in arms}) == 1:
        return []
    counts = ", ".join(f"{arm.name}: {len(arm.runs)}" for arm in arms)
    return [f"The sides have different numbers of seeds ({counts}); tests take equally many, the first ones."]
