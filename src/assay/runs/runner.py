"""The one loop that serves every strategy: a round is sampled, evaluated and stored; then the strategy learns from it.

Sampling and evaluation never keep the same device busy together, because that would be noise in the timings; where they
have a device each, one task is evaluated while the next is sampled. The loop looks at the store before each step, so
running it again after any interruption goes on where it was: nothing is sampled or evaluated twice, and every chunk of
samples has a seed of its own, so a resumed run draws what an uninterrupted one would have drawn.
"""

import asyncio
import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.core.errors import PolicyError, TaskError, UsageError
from assay.core.ledger import Spend
from assay.core.protocols import Evaluator, Policy, Sampler
from assay.core.records import (
    Candidate,
    Evaluation,
    ParseFailure,
    Prompt,
    Provenance,
    Sample,
    SamplingParams,
    Status,
    Task,
)
from assay.runs.events import (
    Evaluated,
    EvaluationStarted,
    Observer,
    RemeasuringStarted,
    RoundFinished,
    RoundStarted,
    RunFinished,
    SamplesDrawn,
    ignore,
)
from assay.runs.manifest import now
from assay.runs.pools import shortlisted_programs
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore
from assay.runs.winners import pick_fastest
from assay.selection.shortlist import Shortlist
from assay.strategies.protocol import RoundPlan, Strategy

log = logging.getLogger(__name__)

# On an accelerator the judge builds the next programs while one is timed; on a CPU building would disturb the timing.
EVALUATIONS_AHEAD = 4


@dataclass(frozen=True)
class Parts:
    """What a run is put together from.

    prompt: the prompt of a task. extract: a program out of a completion's text. control: an identical copy of a task's
    reference, evaluated like any candidate; None for a run without controls. remeasure: how many of a task's fastest
    candidates are measured again at the end. shortlist: which samples are evaluated, None = all. null_evaluations: how
    many copies of each reference are evaluated, each by itself.
    """

    policy: Policy
    evaluator: Evaluator
    strategy: Strategy
    prompt: Callable[[Task], Prompt]
    extract: Callable[[str, Task, Prompt], Candidate | ParseFailure]
    control: Callable[[Task], Candidate] | None
    sampling: SamplingParams
    seed: int
    chunk: int
    remeasure: int
    shortlist: Shortlist | None = None
    null_evaluations: int = 1


async def execute(store: RunStore, parts: Parts, observe: Observer = ignore) -> None:
    """Takes the run in `store` from where it is to its end.

    May be cancelled at any await; what was reported to `observe` is on disk. Closing store, policy and evaluator is the
    caller's. Raises what policy, evaluator and store raise for failures of their own.
    """
    runner = _Runner(store, parts, observe)
    round_index = store.finished_rounds()
    last_state = learned_directory(store.directory, round_index - 1)
    await parts.strategy.open(parts.policy, last_state if last_state.is_dir() else None)
    while (plan := parts.strategy.plan(round_index)) is not None:
        await runner.round(plan)
        round_index += 1
    await runner.remeasure()
    store.complete(now())
    observe(RunFinished(store.ledger.total))


def learned_directory(run: Path, round_index: int) -> Path:
    """Where what a strategy learned from a round is kept."""
    return run / "adapters" / f"round-{round_index}"


def chunk_seed(run_seed: int, round_index: int, task_key: str, start: int) -> int:
    """The seed of the chunk of samples that begins at index `start`: 31 bits of a hash of all four."""
    digest = hashlib.sha256(f"{run_seed}:{round_index}:{task_key}:{start}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class _Runner:
    def __init__(self, store: RunStore, parts: Parts, observe: Observer) -> None:
        self._store, self._parts, self._observe = store, parts, observe

    async def round(self, plan: RoundPlan) -> None:
        stored = sum(len(self._store.indices(plan.index, task.key)) for task in plan.tasks)
        self._observe(RoundStarted(plan.index, len(plan.tasks), plan.samples, stored))
        sampler = await self._parts.strategy.sampler()
        before = self._store.snapshots(plan.index) - {sampler.id}
        if before:
            raise UsageError(
                f"round {plan.index} was begun with other weights ({', '.join(before)}) than"
                f" {self._parts.policy.name} has now ({sampler.id}): put the old ones back, or begin a new run"
            )
        if self._parts.policy.device == self._parts.evaluator.device:
            for task in plan.tasks:
                await self._sample(plan, task, sampler)
                await self._evaluate(plan, task)
        else:
            await self._overlapped(plan, sampler)
        await self._learn(plan, sampler.id)
        self._observe(RoundFinished(plan.index, self._store.ledger.total))

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
        for task, candidate in picked:
            began = time.monotonic()
            evaluation = await self._parts.evaluator.remeasure(task, candidate)
            self._keep(evaluation, Purpose.SELECTED, time.monotonic() - began, None)

    async def _overlapped(self, plan: RoundPlan, sampler: Sampler) -> None:
        ready: asyncio.Queue[Task] = asyncio.Queue(maxsize=1)

        async def sample() -> None:
            for task in plan.tasks:
                await self._sample(plan, task, sampler)
                await ready.put(task)

        async def evaluate() -> None:
            for _ in plan.tasks:
                await self._evaluate(plan, await ready.get())

        await _together([sample(), evaluate()])

    async def _sample(self, plan: RoundPlan, task: Task, sampler: Sampler) -> None:
        prompt = self._parts.prompt(task)
        stored = self._store.indices(plan.index, task.key)
        for start in range(0, plan.samples, self._parts.chunk):
            if start not in stored:  # a chunk is stored whole or not at all
                await self._sample_chunk(plan, task, prompt, sampler, start)

    async def _sample_chunk(self, plan: RoundPlan, task: Task, prompt: Prompt, sampler: Sampler, start: int) -> None:
        n = min(self._parts.chunk, plan.samples - start)
        seed = chunk_seed(self._parts.seed, plan.index, task.key, start)
        params = self._parts.sampling.model_copy(update={"seed": seed})
        began = time.monotonic()
        draw = await sampler.sample(prompt, n, params)
        seconds = time.monotonic() - began
        if len(draw.completions) != n:
            raise PolicyError(f"{self._parts.policy.name} gave {len(draw.completions)} completions, asked for {n}")
        drawn = []
        for index, completion in enumerate(draw.completions, start):
            sample = Sample(
                id=f"{plan.index}:{task.key}:{index}",
                task_key=task.key,
                round=plan.index,
                index=index,
                snapshot_id=sampler.id,
                prompt_hash=prompt.hash,
                prompt_tokens=draw.prompt_tokens,
                params=params,
                completion=completion,
            )
            drawn.append(Drawn(sample, self._parts.extract(completion.text, task, prompt)))
        self._store.add_samples(prompt, drawn, _sampling_spend(drawn, draw.prompt_tokens, seconds))
        parsed = sum(isinstance(one.outcome, Candidate) for one in drawn)
        there = len(self._store.indices(plan.index, task.key))
        self._observe(SamplesDrawn(plan.index, task.key, n, parsed, there, plan.samples, seconds))

    async def _evaluate(self, plan: RoundPlan, task: Task) -> None:
        candidates = self._store.unevaluated(plan.index, task.key)
        if self._parts.shortlist is not None:
            wanted = shortlisted_programs(self._store, self._parts.shortlist, self._parts.seed, plan.index, task.key)
            candidates = [candidate for candidate in candidates if candidate.hash in wanted]
        waiting = _spread(candidates, self._missing_copies(task))
        self._observe(EvaluationStarted(plan.index, task.key, len(waiting)))
        gate = asyncio.Semaphore(1 if self._parts.evaluator.device == "cpu" else EVALUATIONS_AHEAD)
        last = time.monotonic()

        async def evaluate(candidate: Candidate, purpose: Purpose) -> None:
            nonlocal last
            async with gate:
                evaluation = await self._judged(task, candidate)
            seconds, last = time.monotonic() - last, time.monotonic()  # since the one before ended: they overlap
            self._keep(evaluation, purpose, seconds, plan.index)

        await _together([evaluate(candidate, purpose) for candidate, purpose in waiting])

    async def _judged(self, task: Task, candidate: Candidate) -> Evaluation:
        """The judge's word; for a task that cannot be used a rejection that says so, and the run goes on."""
        try:
            return await self._parts.evaluator.evaluate(task, candidate)
        except TaskError as error:
            return Evaluation(
                task_key=task.key,
                candidate_hash=candidate.hash,
                status=Status.REJECTED,
                flags=("unfit_task",),
                error=str(error),
                provenance=Provenance(device=self._parts.evaluator.device),
            )

    def _missing_copies(self, task: Task) -> list[Candidate]:
        if self._parts.control is None:
            return []
        try:
            copy = self._parts.control(task)
        except UsageError as error:  # a reference that is no program gives no copy, and no verdict either
            log.warning("%s", error)
            return []
        there = {evaluation.candidate_hash for evaluation in self._store.evaluations(Purpose.CONTROL, task.key)}
        copies = [numbered_copy(copy, number) for number in range(self._parts.null_evaluations)]
        return [one for one in copies if one.hash not in there]

    async def _learn(self, plan: RoundPlan, snapshot_id: str) -> None:
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
        self._store.finish_round(plan.index, snapshot_id, now(), lesson.spend if lesson else None)

    def _keep(self, evaluation: Evaluation, purpose: Purpose, seconds: float, round_index: int | None) -> None:
        spend = Spend(evaluations=1, timing_runs=evaluation.timed_calls, evaluation_s=seconds)
        self._store.add_evaluation(evaluation, purpose, spend, round_index)
        self._observe(Evaluated(evaluation, purpose))


def numbered_copy(copy: Candidate, number: int) -> Candidate:
    """The same program with a comment at its end, so that each copy is a candidate that is measured by itself.

    The first one, number 0, has none.
    """
    return copy if number == 0 else Candidate(source=f"{copy.source.rstrip()}\n\n# copy {number}\n")


def _spread(candidates: Sequence[Candidate], copies: Sequence[Candidate]) -> list[tuple[Candidate, Purpose]]:
    """Copies evenly among the candidates, so that a machine that drifts does so for both."""
    placed = [
        ((number + 1) / (len(several) + 1), candidate, purpose)
        for several, purpose in ((candidates, Purpose.SEARCH), (copies, Purpose.CONTROL))
        for number, candidate in enumerate(several)
    ]
    return [(candidate, purpose) for _, candidate, purpose in sorted(placed, key=lambda one: one[0])]


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of `work` at once; the first failure ends the rest and comes out alone, since callers know no groups."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


def _sampling_spend(drawn: Sequence[Drawn], prompt_tokens: int, seconds: float) -> Spend:
    completion_tokens = sum(one.sample.n_tokens for one in drawn)
    # The prompt is charged once a sample: what a server bills, and what methods are compared by.
    return Spend(
        rollouts=len(drawn),
        prompt_tokens=prompt_tokens * len(drawn),
        completion_tokens=completion_tokens,
        sampling_s=seconds,
    )
