"""The one loop that serves every strategy: a round is sampled, evaluated and stored; then the strategy learns from it.

Sampling and evaluation never keep the same device busy together, because that would be noise in the timings; where they
have devices of their own, one task is evaluated while the next is sampled. The loop looks at the store before each
step, so running it again after any interruption goes on where it was: nothing is sampled or evaluated twice, and a
resumed run draws what an uninterrupted one would have drawn. A budget that is spent ends the run as its last round
would: winners are measured again, and the run is complete.
"""

import asyncio
import dataclasses
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from assay.core.concurrency import together
from assay.core.errors import UsageError
from assay.core.protocols import Sampler
from assay.core.records import Candidate, Task, content_hash
from assay.runs.devices import device_list, share_a_device
from assay.runs.events import Observer, RemeasuringStarted, RoundFinished, RoundStarted, RunFinished, ignore
from assay.runs.manifest import now
from assay.runs.schema import Purpose
from assay.runs.stages import PORTIONS_AHEAD, Parts, Portion, Stages, portions
from assay.runs.store import RunStore
from assay.runs.winners import pick_fastest
from assay.strategies.protocol import WEIGHTS_FOLDER, RoundPlan


async def execute(store: RunStore, parts: Parts, observe: Observer = ignore) -> None:
    """Takes the run in `store` from where it is to its end.

    May be cancelled at any await; what was reported to `observe` is on disk. Closing store, policy and evaluator is the
    caller's. Raises what policy, evaluator and store raise for failures of their own.
    """
    runner = _Runner(store, parts, observe)
    store.start_clock(parts.policy.device, parts.evaluator.device)
    round_index = store.finished_rounds()
    last_state = learned_directory(store.directory, round_index - 1)
    await parts.strategy.open(parts.policy, last_state if last_state.is_dir() else None)
    ended_by = None
    while (plan := parts.strategy.plan(round_index)) is not None:
        if not await runner.round(plan):
            ended_by = runner.stages.reached()
            break
        round_index += 1
    await runner.remeasure()
    store.complete(now(), ended_by)
    observe(RunFinished(store.ledger.total))


def learned_directory(run: Path, round_index: int) -> Path:
    """Where what a strategy learned from a round is kept."""
    return run / "adapters" / f"round-{round_index}"


class _Runner:
    def __init__(self, store: RunStore, parts: Parts, observe: Observer) -> None:
        self._store, self._parts, self._observe = store, parts, observe
        self.stages = Stages(store, parts, observe)

    async def round(self, plan: RoundPlan) -> bool:
        """Works on a round; False if the budget left it unbegun or cut it off, and so nothing was learned from it."""
        stored = sum(len(self._store.indices(plan.index, task.key)) for task in plan.tasks)
        if not stored and self.stages.reached():
            return False
        self._observe(RoundStarted(plan.index, len(plan.tasks), plan.samples, stored))
        samplers = {task.key: await self._sampler(plan, task) for task in plan.tasks}
        work = portions(plan, self._parts.chunk, self._parts.budget is not None)
        if share_a_device(self._parts.policy.device, self._parts.evaluator.device):
            for portion in work:
                await self.stages.sample(plan, portion, samplers[portion.task.key])
                await self.stages.evaluate(plan, portion.task)
        else:
            await self._overlapped(plan, work, samplers)
        reached = self.stages.reached()
        if reached and not self.stages.is_whole(plan):
            return False
        await self._learn(dataclasses.replace(plan, is_last=True) if reached else plan, samplers)
        self._observe(RoundFinished(plan.index, self._store.ledger.total))
        return True

    async def remeasure(self) -> None:
        """The winner's curse: of many measurements the highest is too high, so the winners are measured afresh."""
        tasks = {task.key: task for task in self._store.tasks()}
        done = {(e.task_key, e.candidate_hash) for e in self._store.evaluations(Purpose.SELECTED)}
        picked = [
            (tasks[key], self._store.candidate(look.candidate_hash))
            for key in tasks
            for look in pick_fastest(self._store.evaluations(Purpose.SEARCH, key), self._parts.remeasure)
            if look.candidate_hash is not None and (key, look.candidate_hash) not in done
        ]
        self._observe(RemeasuringStarted(len(picked)))
        gate = asyncio.Semaphore(len(device_list(self._parts.evaluator.device)))
        last = time.monotonic()

        async def again(task: Task, candidate: Candidate) -> None:
            nonlocal last
            async with gate:
                evaluation = await self._parts.evaluator.remeasure(task, candidate)
            seconds, last = time.monotonic() - last, time.monotonic()  # since the one before ended: they overlap
            self.stages.keep(evaluation, Purpose.SELECTED, seconds, None)

        await together([again(task, candidate) for task, candidate in picked])

    async def _sampler(self, plan: RoundPlan, task: Task) -> Sampler:
        """The snapshot for a task, which must be the one that its stored samples came from."""
        sampler = await self._parts.strategy.sampler(task)
        before = self._store.snapshots(plan.index, task.key) - {sampler.id}
        if before:
            raise UsageError(
                f"round {plan.index} was begun with other weights ({', '.join(before)}) than"
                f" {self._parts.policy.name} has now ({sampler.id}): put the old ones back, or begin a new run"
            )
        return sampler

    async def _overlapped(self, plan: RoundPlan, work: Sequence[Portion], samplers: Mapping[str, Sampler]) -> None:
        ahead = PORTIONS_AHEAD if self.stages.asks_ahead else 1
        ready: asyncio.Queue[Task] = asyncio.Queue(maxsize=ahead)
        waiting = iter(work)

        async def sample() -> None:
            for portion in waiting:  # shared by all that run at once
                await self.stages.sample(plan, portion, samplers[portion.task.key])
                await ready.put(portion.task)

        async def evaluate() -> None:
            for _ in work:
                await self.stages.evaluate(plan, await ready.get())

        await together([*(sample() for _ in range(ahead)), evaluate()])

    async def _learn(self, plan: RoundPlan, samplers: Mapping[str, Sampler]) -> None:
        lesson = None
        if self._parts.strategy.learns:
            directory = learned_directory(self._store.directory, plan.index)
            part = directory.with_suffix(".part")
            for leftover in (part, directory):  # of a process that ended before the round was marked as complete
                shutil.rmtree(leftover, ignore_errors=True)
            part.mkdir(parents=True)
            lesson = await self._parts.strategy.learn(plan, self._store.attempts(round=plan.index), part)
            os.replace(part, directory)
            self._store.set_rewards(lesson.rewards)
        snapshot_id = _snapshot_id([sampler.id for sampler in samplers.values()])
        self._store.finish_round(plan.index, snapshot_id, now(), lesson.spend if lesson else None)
        for index in lesson.unneeded_weights if lesson else ():
            shutil.rmtree(learned_directory(self._store.directory, index) / WEIGHTS_FOLDER, ignore_errors=True)


def _snapshot_id(ids: Sequence[str]) -> str:
    """The one id, or one for several snapshots together, where each task has weights of its own."""
    return ids[0] if len(set(ids)) == 1 else content_hash("several", *ids)
