"""Runs that a budget ends: at the spend that it names, complete, and the same after any interruption."""

import asyncio

import pytest
from fakes import FakeEvaluator, FakePolicy, make_task
from test_runner import make_parts

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.runs.budget import Budget, budget_words, parse_budget
from assay.runs.runner import execute
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.strategies.best_of_n import BestOfN
from assay.strategies.protocol import Lesson, RoundPlan

TASKS = [make_task(str(n)) for n in range(3)]


class Rounds(BestOfN):
    """Any number of rounds of 8 samples a task; counts what it learned from, and whether it was told of the end."""

    learns = True

    async def open(self, policy, state):
        await super().open(policy, state)
        self.lessons: list[tuple[int, bool]] = []

    def plan(self, index):
        return RoundPlan.even(index, TASKS, 8) if index < 6 else None

    async def learn(self, plan, attempts, directory):
        self.lessons.append((plan.index, plan.is_last))
        return Lesson(Spend(updates=1, teacher_tokens=10))


def run(directory, budget, strategy=None, device="cpu", evaluator=None, observe=lambda event: None):
    there = (directory / "run.sqlite").exists()
    store = RunStore.open(directory, writable=True) if there else RunStore.create(directory, {}, TASKS)
    strategy = strategy or Rounds(TASKS, 8)
    parts = make_parts(evaluator, FakePolicy(device), strategy, budget=budget)
    with store:
        asyncio.run(execute(store, parts, observe))
    return strategy


def stored(directory):
    with RunStore.open(directory) as store:
        evaluations = {p: sorted(store.evaluations(p), key=lambda e: (e.task_key, e.candidate_hash)) for p in Purpose}
        timeless = {"sampling_s": 0.0, "evaluation_s": 0.0, "training_s": 0.0}
        spent, search = (s.model_copy(update=timeless) for s in (store.ledger.total, store.search_spend()))
        attempts = store.attempts(leave_out_unevaluated=True)
        return attempts, evaluations, spent, search, store.finished_rounds(), store.ended_by(), store.is_complete()


@pytest.mark.parametrize("device", ["cpu", "remote"])
@pytest.mark.parametrize(("rollouts", "rounds"), [(1, 0), (10, 0), (24, 1), (31, 1), (48, 2), (144, 6)])
def test_a_budget_of_rollouts_is_met_exactly_and_shared_evenly(tmp_path, rollouts, rounds, device):
    run(tmp_path / "run", Budget(rollouts=rollouts), device=device)
    attempts, _, _, search, finished, ended_by, is_complete = stored(tmp_path / "run")
    assert is_complete and search.rollouts == rollouts and finished == rounds and len(attempts) == rollouts
    assert ended_by == ("rollouts" if rollouts < 144 else None)
    counts = [sum(a.sample.task_key == task.key for a in attempts) for task in TASKS]
    assert max(counts) - min(counts) <= 4  # a chunk


def test_what_was_drawn_is_evaluated_and_the_winners_are_measured_again(tmp_path):
    run(tmp_path / "run", Budget(rollouts=31))
    with RunStore.open(tmp_path / "run") as store:
        assert not any(store.unevaluated(n, task.key) for n in range(2) for task in TASKS)
        assert store.evaluations(Purpose.SELECTED) and len(store.evaluations(Purpose.CONTROL)) == len(TASKS)


def test_a_round_that_is_cut_off_teaches_nothing_and_a_whole_one_hears_that_it_is_the_last(tmp_path):
    assert run(tmp_path / "cut", Budget(rollouts=31)).lessons == [(0, False)]
    assert run(tmp_path / "whole", Budget(rollouts=48)).lessons == [(0, False), (1, True)]


@pytest.mark.parametrize("device", ["cpu", "remote"])
def test_a_budget_of_evaluations_is_met_exactly_and_copies_are_not_charged_to_it(tmp_path, device):
    run(tmp_path / "run", Budget(evaluations=7), device=device)
    _, evaluations, spent, search, _, ended_by, is_complete = stored(tmp_path / "run")
    assert is_complete and ended_by == "evaluations"
    assert search.evaluations == len(evaluations[Purpose.SEARCH]) == 7
    assert spent.evaluations == 7 + len(TASKS) + len(evaluations[Purpose.SELECTED])


def test_tokens_count_prompts_completions_and_the_teacher_and_end_at_a_chunk(tmp_path):
    run(tmp_path / "run", Budget(tokens=1500))
    _, _, _, search, _, ended_by, _ = stored(tmp_path / "run")
    used = search.prompt_tokens + search.completion_tokens + search.teacher_tokens
    assert ended_by == "tokens" and 1500 <= used < 1500 + 4 * (40 + 6) and search.teacher_tokens > 0


def test_seconds_end_a_run_that_would_go_on(tmp_path):
    run(tmp_path / "run", Budget(seconds=1e-6))
    _, _, _, search, finished, ended_by, is_complete = stored(tmp_path / "run")
    assert is_complete and ended_by == "seconds" and search.rollouts == 4 and finished == 0


def test_best_of_n_that_fits_its_budget_ends_by_itself(tmp_path):
    run(tmp_path / "run", Budget(rollouts=100, evaluations=1000), BestOfN(TASKS, 8))
    *_, ended_by, is_complete = stored(tmp_path / "run")
    assert is_complete and ended_by is None


@pytest.mark.parametrize("budget", [Budget(rollouts=31), Budget(evaluations=11), Budget(tokens=1500)])
@pytest.mark.parametrize("stop_after", [1, 5, 9, 14, 20, 27, 35])
def test_an_interrupted_run_ends_at_the_same_spend_with_the_same_records(tmp_path, budget, stop_after):
    seen = []

    def observe(event):
        seen.append(event)
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    run(tmp_path / "whole", budget)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", budget, observe=observe)
    run(tmp_path / "run", budget)
    assert stored(tmp_path / "run") == stored(tmp_path / "whole")


def test_a_run_that_its_budget_ended_is_finished_and_does_nothing_more(tmp_path):
    run(tmp_path / "run", Budget(rollouts=31))
    before, evaluator = stored(tmp_path / "run"), FakeEvaluator()
    run(tmp_path / "run", Budget(rollouts=31), evaluator=evaluator)
    assert evaluator.asked == [] and stored(tmp_path / "run") == before


def test_a_budget_is_read_from_words():
    assert parse_budget("rollouts=320, tokens=1e6") == {"rollouts": 320, "tokens": 1_000_000}
    assert Budget.model_validate(parse_budget("seconds=0.5")).limits == {"seconds": 0.5}
    assert budget_words(Budget(rollouts=320, tokens=1_000_000)) == "320 rollouts, 1,000,000 tokens"


@pytest.mark.parametrize("text", ["", "rollouts", "samples=3", "rollouts=x", "rollouts=1,rollouts=2"])
def test_words_that_are_no_budget_are_refused(text):
    with pytest.raises(UsageError, match="--budget"):
        parse_budget(text)


def test_the_clock_of_every_process_is_kept(tmp_path):
    for _ in range(2):
        run(tmp_path / "run", None, device="remote", evaluator=FakeEvaluator(pause_s=1e-3))
    with RunStore.open(tmp_path / "run") as store:
        sessions = store.sessions()
    assert [(s.model_device, s.evaluator_device) for s in sessions] == [("remote", "cpu")] * 2
    assert sessions[0].seconds > 0
