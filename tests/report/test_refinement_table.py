"""A refinement's turns, counted by hand from what was stored."""

import asyncio
from pathlib import Path

from fakes import FakeEvaluator, FakePolicy, control, extract, make_task, render

from assay.core.records import SamplingParams
from assay.report.refinement import refined
from assay.runs.runner import execute
from assay.runs.stages import Parts
from assay.runs.store import RunStore
from assay.strategies.refinement import Refinement

TASKS = [make_task("1"), make_task("2")]


def stored(directory: Path, turns: int) -> None:
    config = {"seed": 0, "strategy": {"type": "refine", "k": 6, "turns": turns}}
    parts = Parts(
        policy=FakePolicy(),
        evaluator=FakeEvaluator(),
        strategy=Refinement(TASKS, 6, turns, render),
        prompt=render,
        extract=extract,
        control=control,
        sampling=SamplingParams(),
        seed=0,
        chunk=4,
        remeasure=1,
    )
    with RunStore.create(directory, config, TASKS) as store:
        asyncio.run(execute(store, parts))


def test_turns_count_what_became_of_the_programs_that_were_shown(tmp_path):
    stored(tmp_path / "run", 3)
    with RunStore.open(tmp_path / "run") as store:
        found = refined(store)
        attempts = {turn: store.attempts(round=turn) for turn in range(3)}
    assert found is not None
    for turn, row in enumerate(found.turns):
        assert (row.turn, row.samples) == (turn, 12)
        assert row.correct == sum(one.evaluation.is_correct for one in attempts[turn])
        assert row.fast_verified == sum(one.evaluation.is_verified_faster for one in attempts[turn])
        if turn:
            before = found.turns[turn - 1]
            assert (row.shown_correct, row.shown_wrong) == (before.correct, 12 - before.correct)
            # Chains are counted once each: those that are correct now were fixed, or were correct and not broken.
            assert row.correct == row.fixed + row.shown_correct - row.broken
    programs = [{(one.sample.task_key, one.candidate.hash) for one in attempts[0] if one.candidate}]
    assert found.turns[0].first_programs == len(programs[0]) and found.turns[0].repeated == 0
    assert [row.solved for row in found.turns] == sorted(row.solved for row in found.turns)
    assert "no test is made of them" in found.in_words


def test_one_turn_says_that_nothing_was_shown(tmp_path):
    stored(tmp_path / "run", 1)
    with RunStore.open(tmp_path / "run") as store:
        found = refined(store)
    assert found is not None and "shown nothing yet" in found.in_words


def test_another_strategy_has_no_turns(tmp_path):
    with RunStore.create(tmp_path / "run", {"strategy": {"type": "ttt"}}, TASKS) as store:
        assert refined(store) is None
