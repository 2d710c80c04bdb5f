"""A run's tables on the screen."""

from pathlib import Path

from assay.cli.analysis_page import show_rounds
from assay.cli.console import print_json, print_table, print_text
from assay.report.adaptation import Adaptation
from assay.report.tables import Measured, RunTables, TaskLine, run_tables
from assay.report.words import in_words
from assay.runs.store import RunStore


def show_run(directory: Path, as_json: bool) -> None:
    """The tables of a run, the spending, where everything is, and what it supports in words."""
    with RunStore.open(directory) as store:
        tables = run_tables(store)
    words = in_words(tables)
    if as_json:
        print_json({**tables.model_dump(mode="json"), "in_words": words})
        return
    show_tables(tables)
    print_text(f"\n{words}")
    if tables.adaptation is not None:
        show_adaptation(tables.adaptation)
    spent = tables.spent
    print_text(
        f"\nSpent: {spent.rollouts} samples, {spent.prompt_tokens + spent.completion_tokens} tokens,"
        f" {spent.evaluations} evaluations, {spent.sampling_s:.0f} s sampling, {spent.evaluation_s:.0f} s evaluating"
        f"{f', {spent.training_s:.0f} s learning ({spent.updates} updates)' if spent.training_s else ''}."
        f"\nThe run is in {directory} (programs in {directory}/candidates)."
    )


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
    rows = [
        (
            str(note.round),
            *("yes" if note.is_updated else "no", str(note.items), f"{note.constant} of {note.groups}"),
            *(_figure(number) for number in (note.mean_reward, note.drift, note.grad_norm)),
        )
        for note in found.steps
    ]
    columns = ("round", "update", "learned from", "tasks with equal rewards", "mean reward", "drift", "gradient norm")
    print_table("\nUpdates", columns, rows, right=columns)
    for note in found.steps:
        if note.why_not:
            print_text(f"Note: no update after round {note.round}: {note.why_not}.")
    if found.rounds is not None:
        show_rounds(found.rounds)
    print_text(found.in_words)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _task_row(line: TaskLine, shared: str) -> tuple[str, ...]:
    counts = (f"{line.correct}/{line.samples}", str(line.fast_raw), str(line.fast_verified))
    again, control = _interval(line.again), _control(line.control)
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


def _control(one: Measured | None) -> str:
    return "-" if one is None else f"{one.verdict or one.status} {_ratio(one)}"
