import asyncio

import pytest
from fakes import FakePolicy, make_task

from assay.strategies.best_of_n import BestOfN

TASKS = [make_task("1"), make_task("2")]


def test_there_is_one_round_with_all_tasks():
    strategy = BestOfN(TASKS, samples=5)
    plan = strategy.plan(0)
    assert (
        plan is not None
        and plan.tasks == tuple(TASKS)
        and plan.samples == 10
        and [g.samples for g in plan.groups] == [5, 5]
    )
    assert strategy.plan(1) is None


def test_it_samples_from_the_unadapted_model():
    async def snapshot():
        strategy = BestOfN(TASKS, samples=1)
        await strategy.open(FakePolicy(), None)
        return (await strategy.sampler(TASKS[0])).id

    assert asyncio.run(snapshot()) == FakePolicy().base().id


def test_it_does_not_learn():
    strategy = BestOfN(TASKS, samples=1)
    plan = strategy.plan(0)
    assert not strategy.learns and plan is not None
    with pytest.raises(NotImplementedError):
        asyncio.run(strategy.learn(plan, [], None))  # type: ignore[arg-type]
