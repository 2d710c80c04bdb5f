"""Rounds made of several groups a task, with prompts that a strategy makes from what it has learned."""

import asyncio
import json

import pytest
from fakes import FakePolicy, make_task, render
from hypothesis import given
from hypothesis import strategies as st
from test_runner import make_parts

from assay.core.ledger import Spend
from assay.runs.runner import execute
from assay.runs.store import RunStore
from assay.strategies.best_of_n import BestOfN
from assay.strategies.protocol import Group, Lesson, RoundPlan

TASKS = [make_task("1"), make_task("2")]


class Quoting(BestOfN):
    """Round 0: three plain samples a task. Round 1: one plain group, and one whose prompt quotes the best program."""

    learns = True

    async def open(self, policy, state):
        await super().open(policy, state)
        self.best = json.loads((state / "best.json").read_text()) if state else {}

    def plan(self, index):
        if index == 0:
            return RoundPlan.even(0, TASKS, 3)
        return RoundPlan(1, tuple(g for task in TASKS for g in self._groups(task))) if index == 1 else None

    def _groups(self, task):
        plain = render(task)
        quoting = plain.model_copy(update={"text": f"{self.best[task.key]}\n{plain.text}"})
        return Group(task, 5), Group(task, 4, quoting, first=5)

    async def learn(self, plan, attempts, directory):
        self.best = {a.sample.task_key: a.sample.completion.text for a in attempts}
        (directory / "best.json").write_text(json.dumps(self.best))
        return Lesson(Spend())


def run(directory, observe=lambda event: None, device="cpu"):
    there = (directory / "run.sqlite").exists()
    store = RunStore.open(directory, writable=True) if there else RunStore.create(directory, {}, TASKS)
    with store:
        parts = make_parts(policy=FakePolicy(device), strategy=Quoting(TASKS, 3), chunk=2)
        asyncio.run(execute(store, parts, observe))
        return store.attempts()


@pytest.mark.parametrize("device", ["cpu", "remote"])
def test_groups_of_a_task_have_samples_of_their_own_and_their_own_prompts(tmp_path, device):
    attempts = run(tmp_path / "run", device=device)
    assert len(attempts) == 2 * 3 + 2 * 9 and len({a.sample.id for a in attempts}) == len(attempts)
    with RunStore.open(tmp_path / "run") as store:
        for one in attempts:
            is_quoting = one.sample.round == 1 and one.sample.index >= 5
            assert (store.prompt(one.sample.prompt_hash) != render(_task(one))) == is_quoting


@pytest.mark.parametrize("stop_after", range(2, 30, 3))
def test_a_resumed_run_makes_the_same_prompts_again(tmp_path, stop_after):
    seen = []

    def observe(event):
        seen.append(event)
        if len(seen) == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", observe)
    assert run(tmp_path / "run") == run(tmp_path / "whole")


def test_attempts_are_given_back_by_group(tmp_path):
    attempts = [a for a in run(tmp_path / "run") if a.sample.round == 1]
    plan = RoundPlan(1, (Group(TASKS[0], 5), Group(TASKS[0], 4, first=5)))
    assert [a.sample.index for a in plan.attempts_of(plan.groups[1], attempts)] == [5, 6, 7, 8]


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 3))
def test_groups_that_overlap_or_leave_a_gap_are_refused(sizes, shift):
    firsts = [sum(sizes[:n]) for n in range(len(sizes))]
    good = [Group(TASKS[0], size, first=first) for size, first in zip(sizes, firsts, strict=True)]
    assert RoundPlan(0, tuple(reversed(good))).samples == sum(sizes)
    moved = [*good[:-1], Group(TASKS[0], sizes[-1], first=firsts[-1] + shift)]
    with pytest.raises(ValueError, match="do not follow one another"):
        RoundPlan(0, tuple(moved))


def _task(attempt):
    return next(task for task in TASKS if task.key == attempt.sample.task_key)
