"""A run that adapted its model: what each round was worth to learn from, and which round is the one to keep."""

import numpy as np

from assay.core.records import Record
from assay.report.analysis_rounds import RoundsTable, rounds_table
from assay.report.analysis_words import count, share
from assay.runs.pools import BOOTSTRAP_SEED, run_pool
from assay.runs.runner import learned_directory
from assay.runs.store import RunStore
from assay.selection.adaptation import StepChoice, trajectory
from assay.selection.pool import Pool
from assay.stats.paired import sign_test
from assay.stats.power import sign_test_in_words
from assay.strategies.notes import StepNote, read_notes


class Adaptation(Record):
    """steps: notes of the rounds that are complete. rounds: None with fewer than two of them."""

    steps: tuple[StepNote, ...]
    rounds: RoundsTable | None
    in_words: str


def adaptation(store: RunStore) -> Adaptation | None:
    """The adaptation of a run, finished or not; None for a run that learned nothing by test-time training."""
    directories = [learned_directory(store.directory, index) for index in range(store.finished_rounds())]
    notes = tuple(note for directory in directories for note in read_notes(directory))
    if not notes:
        return None
    pool = _pool(store, notes)
    rounds = rounds_table(store.directory.name, pool, np.random.default_rng(BOOTSTRAP_SEED))
    said = [_updates(notes)]
    if rounds is not None:
        said += [_choices(rounds), _kept_against_first(rounds, pool)]
    return Adaptation(steps=notes, rounds=rounds, in_words=" ".join(said))


def _pool(store: RunStore, notes: tuple[StepNote, ...]) -> Pool:
    """The samples that tell rounds apart: of all rounds, or, in a run that has them, of the evaluations alone, since
    its other rounds have other tasks each.
    """
    pool = run_pool(store).pool
    measured = {note.round for note in notes if note.role == "evaluation"}
    if not measured:
        return pool.of_rounds({note.round for note in notes})
    pool = pool.of_rounds(measured)
    return pool.of_tasks([key for key, samples in pool.by_task() if len(samples)])


def _updates(notes: tuple[StepNote, ...]) -> str:
    made = sum(note.is_updated for note in notes)
    evaluations = len({note.round for note in notes if note.role == "evaluation"})
    text = f"{count(made, 'update')} over {count(len({note.round for note in notes}), 'round')}"
    text += f", {evaluations} of them evaluations that nothing is learned from." if evaluations else "."
    for note in notes:
        if note.is_stopped:
            whose = "Training" if note.task_key is None else f"Training on {note.task_key}"
            text += f" {whose} was ended after round {note.round}: {note.why_not}."
    if not made:
        text += " The weights never changed, so rounds differ by luck alone."
    return text


def _choices(table: RoundsTable) -> str:
    boa, early, last = table.choices["verified"][:3]
    return (
        f"By the verified rule best-of-adaptation keeps round {boa.step}{_figures(boa)}; early stop with patience 1"
        f" keeps round {early.step}{_figures(early)} and needs no round after {early.last_step}; the last round is"
        f" {last.step}{_figures(last)}. Ties go to the earliest round."
    )


def _figures(choice: StepChoice) -> str:
    split = "" if choice.split is None else f", {share(choice.split)} on the other half"
    return f" ({share(choice.in_batch)}{split})"


def _kept_against_first(table: RoundsTable, pool: Pool) -> str:
    """A test that leans towards the kept round, since its samples chose it: worth most where it finds nothing."""
    path = trajectory(pool, "verified")
    kept, first = table.choices["verified"][0].step, path.steps[0]
    if kept == first or kept is None:
        return f"No later round is above round {first}, so adaptation shows no gain here."
    rates_SP = path.rates_SP
    test = sign_test(rates_SP[path.steps.index(kept)] - rates_SP[0])
    words = sign_test_in_words(test, f"round {kept}", f"round {first}")
    return f"On the very samples that chose it, which favours it: {words[:1].lower()}{words[1:]}"
