"""A run that evaluates a shortlist goes on after an interruption as if there had been none."""

import asyncio

import pytest
from fakes import FakeEvaluator, FakePolicy, control, extract, make_task, render

from assay.core.records import Candidate, SamplingParams
from assay.runs.pools import run_pool
from assay.runs.runner import execute
from assay.runs.schema import Purpose
from assay.runs.stages import Parts, numbered_copy
from assay.runs.store import RunStore
from assay.selection.shortlist import Shortlist
from assay.strategies.best_of_n import BestOfN

TASKS = [make_task(str(n)) for n in range(3)]
SHORTLIST = Shortlist(top=4, rank="random")
CONFIG = {"seed": 2, "strategy": {"type": "best-of-n", "shortlist": SHORTLIST.model_dump()}}


def parts(evaluator):
    return Parts(
        policy=FakePolicy(),
        evaluator=evaluator,
        strategy=BestOfN(TASKS, 10),
        prompt=render,
        extract=extract,
        control=control,
        sampling=SamplingParams(),
        seed=2,
        chunk=4,
        remeasure=2,
        shortlist=SHORTLIST,
        null_evaluations=3,
    )


def contents(directory):
    with RunStore.open(directory) as store:
        found = {
            purpose: sorted(store.evaluations(purpose), key=lambda e: (e.task_key, e.candidate_hash or ""))
            for purpose in Purpose
        }
        pool = run_pool(store)
        spent = store.ledger.total.model_copy(update={"sampling_s": 0.0, "evaluation_s": 0.0})
    return found, pool.pool.samples.index.tolist(), (pool.waiting, pool.set_aside), spent


@pytest.mark.parametrize("stop_after", [1, 4, 8, 12, 17])
def test_nothing_is_evaluated_twice_and_nothing_off_the_list(tmp_path, stop_after):
    with RunStore.create(tmp_path / "whole", CONFIG, TASKS) as store:
        asyncio.run(execute(store, parts(FakeEvaluator())))
    seen = []

    def observe(event):
        seen.append(event)
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    first, second = FakeEvaluator(), FakeEvaluator()
    with RunStore.create(tmp_path / "run", CONFIG, TASKS) as store, pytest.raises(KeyboardInterrupt):
        asyncio.run(execute(store, parts(first), observe))
    with RunStore.open(tmp_path / "run", writable=True) as store:
        asyncio.run(execute(store, parts(second)))
    whole, resumed = contents(tmp_path / "whole"), contents(tmp_path / "run")
    assert resumed == whole
    assert whole[2] == (0, 18) and len(whole[1]) == 12
    asked = [one for one in first.asked + second.asked if one[0] == "evaluate"]
    assert len(asked) == len(set(asked))
    assert len(whole[0][Purpose.CONTROL]) == 9


def test_an_interrupted_shortlist_counts_what_waits_and_what_never_will_be_looked_at(tmp_path):
    with RunStore.create(tmp_path / "run", CONFIG, TASKS) as store:

        def observe(event):
            if type(event).__name__ == "EvaluationStarted":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            asyncio.run(execute(store, parts(FakeEvaluator()), observe))
        found = run_pool(store)
    assert found.set_aside == 6 and found.waiting + len(found.pool) == 4


def test_copies_differ_by_a_comment_alone():
    copy = Candidate(source="class ModelNew: pass\n")
    assert numbered_copy(copy, 0) == copy
    copies = [numbered_copy(copy, n) for n in range(4)]
    assert len({one.hash for one in copies}) == 4
    assert all(one.source.startswith(copy.source) for one in copies)
