"""Runs that are written and read through the store."""

import asyncio
import json

import pytest
from fakes import FakeEvaluator, FakePolicy, control, extract, make_task, render

from assay.core.errors import UsageError
from assay.core.records import SamplingParams
from assay.report.analysis import analyse
from assay.report.analysis_runs import read_run
from assay.runs.runner import Parts, execute
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.selection.shortlist import Shortlist
from assay.strategies.best_of_n import BestOfN

TASKS = [make_task(str(n)) for n in range(4)]


def run(directory, tasks=TASKS, seed=0, shortlist=None, config=None, **changes):
    fields = {
        "policy": FakePolicy(),
        "evaluator": FakeEvaluator(),
        "strategy": BestOfN(tasks, 12),
        "prompt": render,
        "extract": extract,
        "control": control,
        "sampling": SamplingParams(),
        "seed": seed,
        "chunk": 4,
        "remeasure": 3,
        "shortlist": shortlist,
    }
    strategy = {"type": "best-of-n", "k": 12, "shortlist": shortlist and shortlist.model_dump()}
    stored = {"model": "fake", "strategy": strategy, "seed": seed, "device": "cpu"} | (config or {})
    with RunStore.create(directory, stored, tasks) as store:
        asyncio.run(execute(store, Parts(**(fields | changes))))
    return directory


def view(directory):
    with RunStore.open(directory) as store:
        return read_run(store)


def test_a_stored_run_has_every_table_and_a_sentence_under_each(tmp_path):
    found = analyse([view(run(tmp_path / "run"))], published=True)
    assert found.scaling is not None and found.scaling.samples_per_task == 12 and found.published is not None
    tables = (found.scaling, found.evaluated_first, found.selectors, found.length, found.quartiles, found.spread)
    assert all(table.in_words for table in (*tables, found.compute, found.published))
    assert found.compute.runs[0].spent.rollouts == 48
    json.dumps(found.model_dump(mode="json"), allow_nan=False)


def test_the_same_run_gives_the_same_analysis(tmp_path):
    found = view(run(tmp_path / "run"))
    assert analyse([found]) == analyse([found])


def test_a_second_run_stands_on_the_curve_of_the_first(tmp_path):
    first, second = view(run(tmp_path / "a")), view(run(tmp_path / "b", seed=5))
    found = analyse([first, second])
    assert found.others is not None and {row.run for row in found.others.rows} == {second.name}
    assert [(table.second, table.rule) for table in found.regime] == [(second.name, "verified"), (second.name, "raw")]
    assert len(found.compute.runs) == 2


def test_scales_and_suites_never_mix(tmp_path):
    first = view(run(tmp_path / "a"))
    small = [task.model_copy(update={"scale": "small"}) for task in TASKS]
    with pytest.raises(UsageError, match="never mix"):
        analyse([first, view(run(tmp_path / "b", tasks=small))])
    with pytest.raises(UsageError, match="suite other"):
        analyse([first, view(run(tmp_path / "c", tasks=[make_task("0", suite="other")]))])


def test_changed_references_and_disjoint_tasks_are_refused(tmp_path):
    first = view(run(tmp_path / "a"))
    changed = [TASKS[0].model_copy(update={"source": "class Model: pass  # other"})]
    with pytest.raises(UsageError, match="different references"):
        analyse([first, view(run(tmp_path / "b", tasks=changed))])
    with pytest.raises(UsageError, match="share no task"):
        analyse([first, view(run(tmp_path / "c", tasks=[make_task("9")]))])


def test_runs_of_different_devices_are_warned_of(tmp_path):
    first, second = view(run(tmp_path / "a")), view(run(tmp_path / "b", config={"device": "cuda:0"}))
    (warning,) = analyse([first, second]).warnings
    assert "devices (cpu, cuda:0)" in warning


def test_no_run_and_an_empty_run_are_a_users_mistake(tmp_path):
    with pytest.raises(UsageError, match="at least one run"):
        analyse([])
    with RunStore.create(tmp_path / "empty", {}, TASKS) as store, pytest.raises(UsageError, match="nothing to analyse"):
        read_run(store)


def test_an_interrupted_run_is_analysed_as_far_as_it_went(tmp_path):
    evaluator = FakeEvaluator()

    def observe(event):
        if len(evaluator.asked) > 9:
            raise KeyboardInterrupt

    strategy = {"type": "best-of-n", "k": 12}
    fields = {"policy": FakePolicy(), "evaluator": evaluator, "strategy": BestOfN(TASKS, 12), "prompt": render}
    parts = Parts(**fields, extract=extract, control=control, sampling=SamplingParams(), seed=0, chunk=4, remeasure=3)
    with RunStore.create(tmp_path / "run", {"strategy": strategy}, TASKS) as store, pytest.raises(KeyboardInterrupt):
        asyncio.run(execute(store, parts, observe))
    found = view(tmp_path / "run")
    head = analyse([found]).runs[0]
    assert not head.is_complete and head.tasks < head.tasks_in_all == 4
    assert any("without a judged sample" in note for note in head.notes)


def test_a_shortlist_is_all_that_is_evaluated_and_all_that_is_analysed(tmp_path):
    shortlist, evaluator = Shortlist(top=3), FakeEvaluator()
    directory = run(tmp_path / "run", shortlist=shortlist, evaluator=evaluator)
    with RunStore.open(directory) as store:
        samples = list(store.samples())
        searched = store.evaluations(Purpose.SEARCH)
        spent = store.ledger.total
    assert len(samples) == 48 and spent.rollouts == 48
    assert len(searched) <= 3 * len(TASKS)
    assert spent.evaluations == len(evaluator.asked)
    found = view(directory)
    assert len(found.pool) == 12 and found.shortlist == shortlist
    for task in TASKS:
        lowest = sorted(s.mean_logprob or 0.0 for s in samples if s.task_key == task.key)[:3]
        kept = found.pool.of(found.pool.task_keys.index(task.key)).mean_logprob
        assert sorted(kept.tolist()) == pytest.approx(lowest)
    analysis = analyse([found])
    assert analysis.scaling is None and analysis.others is None
    assert set(analysis.evaluated_first.orders) == {"surprisal"}
    assert "no random ones" in analysis.warnings[0]
    assert any("36 samples were set aside" in note for note in analysis.runs[0].notes)


def test_a_live_shortlist_solves_what_the_whole_pool_says_it_would(tmp_path):
    whole = analyse([view(run(tmp_path / "whole"))]).evaluated_first.orders["surprisal"].verified
    live = analyse([view(run(tmp_path / "live", shortlist=Shortlist(top=4)))]).evaluated_first.orders["surprisal"]
    figures = {point.k: point.value for point in whole}
    assert {point.k: point.value for point in live.verified} == pytest.approx({k: figures[k] for k in (1, 2, 4)})


def test_a_random_shortlist_is_a_random_draw_and_keeps_its_curve(tmp_path):
    found = analyse([view(run(tmp_path / "run", shortlist=Shortlist(top=4, rank="random")))])
    assert found.scaling is not None and found.scaling.samples_per_task == 4 and not found.warnings


def test_each_null_evaluation_is_measured_by_itself(tmp_path):
    evaluator = FakeEvaluator()
    directory = run(tmp_path / "run", null_evaluations=5, evaluator=evaluator)
    with RunStore.open(directory) as store:
        controls = store.evaluations(Purpose.CONTROL)
    assert len(controls) == 20 and len({(one.task_key, one.candidate_hash) for one in controls}) == 20
    (noise,) = analyse([view(directory)], null=True).noise
    assert (noise.measurements, noise.fewest, noise.most) == (20, 5, 5)
    # The fake's raw estimate of a copy is 2 % too high and its verdict is undecided.
    assert noise.fast_raw == 20 and noise.faster == 0
