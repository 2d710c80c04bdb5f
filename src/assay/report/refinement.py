"""A refinement by turns: what a model does with its last program and the judge's word on it."""

from collections.abc import Sequence

import numpy as np

from assay.core.records import Attempt, Record
from assay.report.analysis_words import count, share
from assay.runs.runner import learned_directory
from assay.runs.store import RunStore
from assay.strategies.refinement import read_turn


class TurnRow(Record):
    """One turn over all tasks; counts are of samples. first_programs: programs that no earlier turn of the task had.

    Of the samples whose chain had a program or an answer to show: repeated, the very same program again; shown_wrong
    and fixed, those shown one that was not correct, and of them those that are correct; shown_correct and broken, the
    other way round. solved: share of tasks with a verified faster sample in this turn or an earlier one.
    """

    turn: int
    samples: int
    correct: int
    fast_raw: int
    fast_verified: int
    first_programs: int
    shown_wrong: int
    fixed: int
    shown_correct: int
    broken: int
    repeated: int
    solved: float


class Refined(Record):
    """A refinement's turns, those that are complete."""

    turns: tuple[TurnRow, ...]
    in_words: str


def refined(store: RunStore) -> Refined | None:
    """The turns of a run, finished or not; None for another strategy, or before the first turn is complete."""
    strategy = store.config.get("strategy")
    if not isinstance(strategy, dict) or strategy.get("type") != "refine" or not store.finished_rounds():
        return None
    rows: list[TurnRow] = []
    known: set[tuple[str, str]] = set()
    solved: set[str] = set()
    before: dict[tuple[str, int], Attempt] = {}
    for index in range(store.finished_rounds()):
        attempts = store.attempts(round=index)
        shown = _shown(store, index, before, attempts) if index else []
        programs = {(one.sample.task_key, one.candidate.hash) for one in attempts if one.candidate is not None}
        solved |= {one.sample.task_key for one in attempts if one.evaluation.is_verified_faster}
        rows.append(_row(index, attempts, shown, len(programs - known), len(solved) / len(store.tasks())))
        known |= programs
        before = {(one.sample.task_key, one.sample.index): one for one in attempts}
    return Refined(turns=tuple(rows), in_words=_words(rows))


def _shown(
    store: RunStore, index: int, before: dict[tuple[str, int], Attempt], attempts: Sequence[Attempt]
) -> list[tuple[Attempt, Attempt]]:
    """(what a sample was shown, the sample) for each sample of a turn."""
    left = read_turn(learned_directory(store.directory, index - 1))
    if left is None:
        return []
    parents = {key: left.parents(key) for key in left.next}
    return [(before[one.sample.task_key, parents[one.sample.task_key][one.sample.index]], one) for one in attempts]


def _row(
    index: int, attempts: Sequence[Attempt], shown: Sequence[tuple[Attempt, Attempt]], first: int, solved: float
) -> TurnRow:
    wrong = [after for earlier, after in shown if not earlier.evaluation.is_correct]
    right = [after for earlier, after in shown if earlier.evaluation.is_correct]
    speedups = [one.evaluation.speedup for one in attempts]
    return TurnRow(
        turn=index,
        samples=len(attempts),
        correct=sum(one.evaluation.is_correct for one in attempts),
        fast_raw=sum(speedup is not None and speedup.raw > 1 for speedup in speedups),
        fast_verified=sum(one.evaluation.is_verified_faster for one in attempts),
        first_programs=first,
        shown_wrong=len(wrong),
        fixed=sum(one.evaluation.is_correct for one in wrong),
        shown_correct=len(right),
        broken=sum(not one.evaluation.is_correct for one in right),
        repeated=sum(
            earlier.candidate is not None and after.candidate is not None and earlier.candidate == after.candidate
            for earlier, after in shown
        ),
        solved=solved,
    )


def _words(rows: Sequence[TurnRow]) -> str:
    later = rows[1:]
    if not later:
        return "One turn is complete, which was shown nothing yet."
    wrong, right = sum(row.shown_wrong for row in later), sum(row.shown_correct for row in later)
    fixed, broken = sum(row.fixed for row in later), sum(row.broken for row in later)
    repeated = sum(row.repeated for row in later)
    rates = [f"{fixed} of {wrong} were then correct ({share(fixed / wrong)})"] if wrong else []
    said = f"Shown a program that was not correct, {rates[0]}." if rates else "No shown program was incorrect."
    if right:
        said += f" Shown a correct one, {broken} of {right} were then not ({share(broken / right)})."
    said += f" {repeated} of {count(wrong + right, 'sample')} repeated the program that they were shown."
    rate = np.mean([row.correct / row.samples for row in later])
    return (
        f"{said} In the first turn {share(rows[0].correct / rows[0].samples)} of samples are correct, in later ones"
        f" {share(float(rate))}; samples of one chain depend on each other, so no test is made of them. Whether"
        " refinement is worth its samples is asked of best-of-n with as many: assay compare."
    )
