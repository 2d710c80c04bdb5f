import asyncio
import random
from pathlib import Path

import pytest
from fakes import FakeEvaluator, FakePolicy, control, extract, make_task, render
from hypothesis import given
from hypothesis import strategies as st
from interrupted import cancel_after, kill_twice

from assay.core.errors import PolicyError, TaskError, UsageError
from assay.core.ledger import Spend
from assay.core.protocols import Draw
from assay.core.records import Candidate, SamplingParams
from assay.runs.events import Evaluated, RoundStarted, RunFinished, SamplesDrawn
from assay.runs.runner import execute, learned_directory
from assay.runs.schema import Purpose
from assay.runs.stages import Parts, chunk_seed
from assay.runs.store import RunStore
from assay.strategies.best_of_n import BestOfN
from assay.strategies.protocol import Lesson, RoundPlan

TASKS = [make_task(str(n)) for n in range(4)]
SAMPLES = 10


def make_parts(evaluator=None, policy=None, strategy=None, **changes):
    fields = {
        "policy": policy or FakePolicy(),
        "evaluator": evaluator or FakeEvaluator(),
        "strategy": strategy or BestOfN(TASKS, SAMPLES),
        "prompt": render,
        "extract": extract,
        "control": control,
        "sampling": SamplingParams(),
        "seed": 0,
        "chunk": 4,
        "remeasure": 3,
    }
    return Parts(**(fields | changes))


def run(directory: Path, parts: Parts, observe=lambda event: None):
    store = (
        RunStore.open(directory, writable=True)
        if (directory / "run.sqlite").exists()
        else RunStore.create(directory, {}, TASKS)
    )
    with store:
        asyncio.run(execute(store, parts, observe))


def records(directory: Path):
    """Everything that a run stored, without what was measured by a clock."""
    with RunStore.open(directory) as store:
        evaluations = {purpose: store.evaluations(purpose) for purpose in Purpose}
        by_key = {p: sorted(found, key=lambda e: (e.task_key, e.candidate_hash)) for p, found in evaluations.items()}
        spent = store.ledger.total.model_copy(update={"sampling_s": 0.0, "evaluation_s": 0.0})
        return store.attempts(), by_key, spent, store.finished_rounds()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    run(directory, make_parts())
    return records(directory)


def test_every_distinct_program_is_evaluated_once_and_every_sample_has_its_evaluation(tmp_path, whole):
    evaluator = FakeEvaluator()
    run(tmp_path / "run", make_parts(evaluator))
    attempts = records(tmp_path / "run")[0]
    assert len(attempts) == len(TASKS) * SAMPLES
    distinct = {(a.sample.task_key, a.candidate.hash) for a in attempts if a.candidate}
    asked = [(task, candidate) for kind, task, candidate in evaluator.asked if kind == "evaluate"]
    assert len(asked) == len(set(asked)) == len(distinct) + len(TASKS)
    for attempt in attempts:
        assert attempt.evaluation.candidate_hash == (attempt.candidate.hash if attempt.candidate else None)


def test_the_ledger_counts_what_was_done(tmp_path, whole):
    attempts, evaluations, spent, _ = whole
    assert spent.rollouts == len(attempts)
    assert spent.completion_tokens == sum(a.sample.n_tokens for a in attempts)
    assert spent.prompt_tokens == sum(a.sample.prompt_tokens for a in attempts)
    assert spent.evaluations == sum(len(found) for found in evaluations.values())
    assert spent.timing_runs == sum(e.timed_calls for found in evaluations.values() for e in found)


def test_the_fastest_of_each_task_are_measured_again_and_kept_apart(whole):
    _, evaluations, _, _ = whole
    for task in TASKS:
        first = [e for e in evaluations[Purpose.SEARCH] if e.task_key == task.key and e.speedup]
        again = [e for e in evaluations[Purpose.SELECTED] if e.task_key == task.key]
        assert 1 <= len(again) <= 3
        best = max(first, key=lambda e: e.speedup.ratio)
        assert best.candidate_hash in {e.candidate_hash for e in again}


def test_a_finished_run_that_is_resumed_does_nothing(tmp_path, whole):
    run(tmp_path / "run", make_parts())
    evaluator, events = FakeEvaluator(), []
    run(tmp_path / "run", make_parts(evaluator), events.append)
    assert evaluator.asked == []
    assert isinstance(events[-1], RunFinished)
    assert records(tmp_path / "run") == whole


def test_sampling_beside_evaluation_on_another_device_gives_the_same_records(tmp_path, whole):
    run(tmp_path / "run", make_parts(policy=FakePolicy(device="remote")))
    assert records(tmp_path / "run") == whole


def test_on_one_device_sampling_and_evaluation_take_turns(tmp_path):
    busy: list[str] = []

    class Watched(FakeEvaluator):
        async def evaluate(self, task, candidate):
            assert busy == []
            busy.append("evaluation")
            await asyncio.sleep(0)
            busy.remove("evaluation")
            return await super().evaluate(task, candidate)

    class Sampler:
        id = "fake-snapshot"

        async def sample(self, prompt, n, params):
            assert busy == []
            busy.append("sampling")
            await asyncio.sleep(0)
            busy.remove("sampling")
            return await FakePolicy().base().sample(prompt, n, params)

    policy = FakePolicy()
    policy.base = Sampler  # type: ignore[method-assign]
    run(tmp_path / "run", make_parts(Watched(), policy))


@pytest.mark.parametrize("device", ["cpu", "remote"])
@pytest.mark.parametrize("stop_after", [1, 3, 6, 9, 14, 20])
def test_a_cancelled_run_that_is_resumed_gives_the_same_records(tmp_path, whole, stop_after, device):
    parts = make_parts(policy=FakePolicy(device=device, pause_s=1e-4))
    with RunStore.create(tmp_path / "run", {}, TASKS) as store:
        cancel_after(store, parts, stop_after)
    run(tmp_path / "run", parts)
    assert records(tmp_path / "run") == whole


KILLED = """
import sys
from pathlib import Path
from fakes import FakeEvaluator, FakePolicy
from test_runner import make_parts, run
def show(event):
    print(type(event).__name__, flush=True)
run(Path(sys.argv[1]), make_parts(FakeEvaluator(pause_s=0.003), FakePolicy(pause_s=0.003)), show)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_run_that_is_resumed_gives_the_records_of_an_uninterrupted_one(tmp_path, whole, seed):
    kill_twice(KILLED, [tmp_path / "run"], Path(__file__).parent, random.Random(seed), (1, 12), 0.01)
    run(tmp_path / "run", make_parts())
    assert records(tmp_path / "run") == whole


def test_a_failure_of_the_evaluator_comes_out_as_it_is_and_the_run_can_go_on(tmp_path, whole):
    class Broken(FakeEvaluator):
        async def evaluate(self, task, candidate):
            if len(self.asked) == 5:
                raise PolicyError("the device is gone")
            return await super().evaluate(task, candidate)

    for device in ("cpu", "remote"):
        with pytest.raises(PolicyError, match="the device is gone"):
            run(tmp_path / device, make_parts(Broken(), FakePolicy(device)))
        run(tmp_path / device, make_parts())
        assert records(tmp_path / device) == whole


def test_a_policy_that_gives_too_few_completions_is_a_policy_error(tmp_path):
    class Short:
        id = "short"

        async def sample(self, prompt, n, params):
            return Draw(prompt_tokens=1, completions=())

    policy = FakePolicy()
    policy.base = Short  # type: ignore[method-assign]
    with pytest.raises(PolicyError, match="gave 0 completions, asked for 4"):
        run(tmp_path / "run", make_parts(policy=policy))


def test_events_count_up_to_all_samples_and_a_resumed_round_says_what_is_there(tmp_path):
    events = []
    run(tmp_path / "run", make_parts(), events.append)
    drawn = [e for e in events if isinstance(e, SamplesDrawn) and e.task_key == TASKS[0].key]
    assert [(e.new, e.drawn) for e in drawn] == [(4, 4), (4, 8), (2, 10)]
    assert sum(isinstance(e, Evaluated) and e.purpose is Purpose.CONTROL for e in events) == len(TASKS)
    assert events[0] == RoundStarted(0, len(TASKS), len(TASKS) * SAMPLES, 0)


class Learning(BestOfN):
    """Two rounds; remembers in a file how often it learned."""

    learns = True

    def __init__(self, tasks, samples):
        super().__init__(tasks, samples)
        self.lessons = 0

    async def open(self, policy, state):
        await super().open(policy, state)
        self.lessons = int((state / "lessons").read_text()) if state else 0

    def plan(self, index):
        return RoundPlan.even(index, TASKS, SAMPLES) if index < 2 else None

    async def learn(self, plan, attempts, directory):
        self.lessons += 1
        (directory / "lessons").write_text(str(self.lessons))
        return Lesson(Spend(updates=1), {a.sample.id: 1.0 for a in attempts if a.evaluation.is_correct})


def test_a_strategy_that_learns_gets_its_state_back_and_its_rewards_are_stored(tmp_path):
    class StopsInRoundOne(Learning):
        async def sampler(self, task):
            if self.lessons == 1:
                raise PolicyError("stop here")
            return await super().sampler(task)

    with pytest.raises(PolicyError, match="stop here"):
        run(tmp_path / "run", make_parts(strategy=StopsInRoundOne(TASKS, SAMPLES)))
    strategy = Learning(TASKS, SAMPLES)
    run(tmp_path / "run", make_parts(strategy=strategy))
    assert strategy.lessons == 2
    assert (learned_directory(tmp_path / "run", 1) / "lessons").read_text() == "2"
    with RunStore.open(tmp_path / "run") as store:
        assert store.ledger.total.updates == 2
        assert {a.reward for a in store.attempts()} == {None, 1.0}
        assert store.finished_rounds() == 2


@given(st.integers(0, 2**40), st.integers(0, 100), st.text(max_size=5), st.integers(0, 1000))
def test_seeds_fit_31_bits_and_differ_by_each_part(seed, round_index, key, start):
    base = chunk_seed(seed, round_index, key, start)
    assert 0 <= base < 2**31
    others = {chunk_seed(seed + 1, round_index, key, start), chunk_seed(seed, round_index, key, start + 1)}
    assert base not in others


def test_a_program_seen_in_an_earlier_round_is_not_evaluated_again(tmp_path):
    evaluator = FakeEvaluator()
    run(tmp_path / "run", make_parts(evaluator, strategy=Learning(TASKS, SAMPLES)))
    asked = [entry for entry in evaluator.asked if entry[0] == "evaluate"]
    assert len(asked) == len(set(asked))
    assert Candidate(source="class ModelNew(Model): pass  # ratio=1.0").hash in {entry[2] for entry in asked}


def test_a_run_goes_on_without_a_task_that_cannot_be_used(tmp_path):
    class Choosy(FakeEvaluator):
        async def evaluate(self, task, candidate):
            if task.key == TASKS[1].key:
                raise TaskError(f"task {task.key} does not run: KeyError")
            return await super().evaluate(task, candidate)

    def no_copy(task):
        if task.key == TASKS[1].key:
            raise UsageError(f"task {task.key}: no copy of its reference can be made")
        return control(task)

    with RunStore.create(tmp_path / "run", {}, TASKS) as store:
        asyncio.run(execute(store, make_parts(evaluator=Choosy(), control=no_copy)))
        assert store.is_complete()
        unfit = store.evaluations(Purpose.SEARCH, TASKS[1].key)
        assert unfit and all(found.flags == ("unfit_task",) and "KeyError" in found.error for found in unfit)
        assert any(found.is_correct for found in store.evaluations(Purpose.SEARCH, TASKS[2].key))
