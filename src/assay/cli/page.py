"""A run's tables on the screen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.cli.analysis_page import show_rounds
from assay.cli.console import print_json, print_table, print_text
from assay.cli.refinement_page import show_refinement
from assay.report.adaptation import Adaptation
from assay.report.tables import Measured, RunTables, TaskLine, run_tables
from assay.report.words import copies_in_words, in_words
from assay.runs.budget import budget_words
from assay.runs.store import RunStore
from assay.strategies.notes import StepNote


def show_run(directory: Path, as_json: bool) -> None:
    """The tables of a run, the spending, where everything is, and what it supports in words."""
    if as_json:
        print_json(run_document(directory))
        return
    with RunStore.open(directory) as store:
        tables = run_tables(store)
    show_tables(tables)
    print_text(f"\n{in_words(tables)}")
    if tables.adaptation is not None:
        show_adaptation(tables.adaptation)
    if tables.refinement is not None:
        show_refinement(tables.refinement)
    if tables.start is not None:
        print_text(f"\nBegun with the weights of {tables.start}.")
    if tables.budget is not None:
        how = f"ended by its {tables.ended_by}" if tables.ended_by else "not used up"
        print_text(f"\nBudget: {budget_words(tables.budget)}; {how}.")
    spent = tables.spent
    updates = "1 update" if spent.updates == 1 else f"{spent.updates} updates"
    print_text(
        f"\nSpent: {spent.rollouts} samples, {spent.prompt_tokens + spent.completion_tokens} tokens,"
        f" {spent.evaluations} evaluations, {spent.sampling_s:.0f} s sampling, {spent.evaluation_s:.0f} s evaluating"
        f"{f', {spent.training_s:.0f} s learning ({updates})' if spent.training_s else ''}"
        f"{f', {spent.teacher_tokens} tokens of teachers and references' if spent.teacher_tokens else ''}"
        f"{'' if spent.dollars is None else f', {dollars(spent.dollars)}'}."
        f"{f' {tables.devices.in_words()}' if tables.devices else ''}"
        f"\nThe run is in {directory} (programs in {directory}/candidates)."
    )


def dollars(amount: float) -> str:
    """An amount of money; as many digits as small ones need."""
    return f"${amount:.2f}" if amount >= 1 or amount == 0 else f"${amount:.2g}"


def run_document(directory: Path) -> dict[str, Any]:
    """What `show_run` shows, for a program to read."""
    with RunStore.open(directory) as store:
        tables = run_tables(store)
    return {**tables.model_dump(mode="json"), "in_words": in_words(tables)}


def show_tables(tables: RunTables) -> None:
    """By task, by selector, and the warnings."""
    counts = ("correct", "raw>1", "faster", "first")
    shown = ("measured again", "identical copy")
    suites = {line.task.rpartition("/")[0] for line in tables.tasks}
    title, shared = (f" ({suite})", f"{suite}/") if (suite := suites.pop()) and not suites else ("", "")
    rows = [_task_row(line, shared) for line in tables.tasks]
    print_table(f"\nBy task{title}", ("task", *counts, *shown), rows, right=counts, wrapped=shown)
    if tables.selectors:
        numbers = ("fast_1 raw", "fast_1 verified", "speedup", "timing runs", "held up")
        rows = [
            (
                line.selector,
                f"{line.fast_1_raw:.0%}",
                f"{line.fast_1_verified:.0%}",
                "-" if line.speedup is None else f"{line.speedup:.2f}x",
                str(line.timing_runs),
                f"{line.confirmed} of {line.measured_again}" if line.measured_again else "-",
            )
            for line in tables.selectors
        ]
        print_table("\nBy selector (at first look)", ("selector", *numbers), rows, right=numbers)
    for warning in tables.warnings:
        print_text(f"Note: {warning}")


def show_adaptation(found: Adaptation) -> None:
    """What each round was worth to learn from, and, where rounds are complete, what adaptation changed."""
    columns = {column: read for column, read in UPDATE_COLUMNS.items() if any(map(read, found.steps))}
    rows = [tuple(read(note) or "-" for read in columns.values()) for note in found.steps]
    print_table("\nUpdates", tuple(columns), rows, right=tuple(columns))
    for note in found.steps:
        if note.why_not and note.role == "search":
            whose = "" if note.task_key is None else f" of {note.task_key}"
            print_text(f"Note: no update{whose} after round {note.round}: {note.why_not}.")
    if found.rounds is not None:
        show_rounds(found.rounds)
    print_text(found.in_words)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


# A column is shown where a round has something to say in it.
UPDATE_COLUMNS: dict[str, Callable[[StepNote], str]] = {
    "round": lambda note: str(note.round),
    "task": lambda note: note.task_key or "",
    "update": lambda note: "measured" if note.role == "evaluation" else "yes" if note.is_updated else "no",
    "learned from": lambda note: str(note.items),
    "tasks with equal rewards": lambda note: f"{note.constant} of {note.groups}",
    "mean reward": lambda note: _figure(note.mean_reward),
    "drift": lambda note: _figure(note.drift),
    "gradient norm": lambda note: _figure(note.grad_norm),
    "teacher's lead": lambda note: _figure(note.teacher_gap),
    "with a solution": lambda note: "" if note.solutions is None else str(note.solutions),
}


def _task_row(line: TaskLine, shared: str) -> tuple[str, ...]:
    counts = (f"{line.correct}/{line.samples}", str(line.fast_raw), str(line.fast_verified))
    again, control = _interval(line.again), copies_in_words(line.controls)
    return (line.task.removeprefix(shared), *counts, _ratio(line.picked), again, control)


def _ratio(one: Measured | None) -> str:
    return "-" if one is None or one.ratio is None else f"{one.ratio:.2f}x"


def _interval(one: Measured | None) -> str:
    if one is None:
        return "-"
    if one.low is None:
        return str(one.status)
    if one.verdict is None:  # by KernelBench's rule, which knows no interval
        return f"{one.ratio:.2f}x, no verdict"
    return f"{one.verdict} {one.ratio:.2f}x [{one.low:.2f}, {one.high:.2f}]"
