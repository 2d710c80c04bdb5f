"""Samples that are the reference again, counted round by round."""

from pathlib import Path

from stored_runs import FAST, NONE, SAME, TTT, WRONG, store_run

from assay.report.repeats import RoundRepeats, repeats_in_words
from assay.report.tables import run_tables
from assay.report.words import in_words
from assay.runs.store import RunStore

REPEATED = "class ModelNew: pass\n"  # before a comment that names the outcome


def test_correct_programs_that_are_their_reference_are_counted_in_each_round(tmp_path: Path):
    rounds = [(SAME, WRONG, NONE), (SAME, FAST, SAME)]
    run = store_run(tmp_path / "run", {"first": rounds, "second": rounds}, TTT, text=REPEATED)
    with RunStore.open(run) as store:
        tables = run_tables(store)
    assert [(one.round, one.samples, one.repeats) for one in tables.repeats] == [(0, 6, 2), (1, 6, 6)]
    assert (
        "8 of 12 samples repeat the reference's own code (2 of 6 in round 0, 6 of 6 in round 1), with which nothing"
        " can be won."
    ) in in_words(tables)


def test_a_run_whose_programs_are_their_own_says_nothing_of_it(tmp_path: Path):
    with RunStore.open(store_run(tmp_path / "run", {"only": [(SAME, FAST)]})) as store:
        tables = run_tables(store)
    assert [one.repeats for one in tables.repeats] == [0]
    assert "repeat the reference" not in in_words(tables)
    assert repeats_in_words(()) == ""


def test_one_round_has_no_first_and_last():
    (only,) = rounds = (RoundRepeats(round=0, samples=4, repeats=3),)
    assert only.repeats == 3
    assert repeats_in_words(rounds) == "3 of 4 samples repeat the reference's own code, with which nothing can be won."
