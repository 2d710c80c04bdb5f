"""Sampling and evaluating the parts of a round, within a budget; everything is stored as soon as it is there.

Every chunk of samples has a seed of its own, so what a chunk holds does not depend on what was drawn before it.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assay.core.concurrency import together
from assay.core.errors import PolicyError, TaskError, UsageError
from assay.core.ledger import Spend
from assay.core.protocols import Draw, Evaluator, Policy, Sampler
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
from assay.policies.renderers import answer_apart
from assay.runs.budget import Budget
from assay.runs.devices import device_list
from assay.runs.events import Evaluated, EvaluationStarted, Observer, SamplesDrawn
from assay.runs.pools import shortlisted_programs
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore
from assay.selection.shortlist import Shortlist
from assay.strategies.protocol import Group, RoundPlan, Strategy

log = logging.getLogger(__name__)

# For each device. On an accelerator the judge builds the next programs while one is timed; on a CPU building would
# disturb the timing.
EVALUATIONS_AHEAD = 4
REMOTE = "remote"
PORTIONS_AHEAD = 8  # tasks that a server is sampling for at once


@dataclass(frozen=True)
class Parts:
    """What a run is put together from.

    prompt: the prompt of a task. extract: a program out of a completion's text. control: an identical copy of a task's
    reference, evaluated like any candidate; None for a run without controls. remeasure: how many of a task's fastest
    candidates are measured again at the end. shortlist: which samples are evaluated, None = all. null_evaluations: how
    many copies of each reference are evaluated, each by itself. budget: what the search may spend, None = no limit.
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
    budget: Budget | None = None


@dataclass(frozen=True)
class Chunk:
    """`n` samples of a group, from index `start` on: stored whole or not at all."""

    group: Group
    start: int
    n: int


@dataclass(frozen=True)
class Portion:
    """What is sampled, and then evaluated, before the next task has its turn."""

    task: Task
    chunks: tuple[Chunk, ...]


def portions(plan: RoundPlan, chunk: int, is_limited: bool) -> list[Portion]:
    """A round in the order in which it is worked on.

    One task after another; or, within a budget, a chunk of every task in turn, so that tasks have equal shares of what
    the budget allows.
    """
    whole = [Portion(task, _chunks(plan, task, chunk)) for task in plan.tasks]
    if not is_limited:
        return whole
    turns = max((len(portion.chunks) for portion in whole), default=0)
    return [
        Portion(portion.task, portion.chunks[turn : turn + 1])
        for turn in range(turns)
        for portion in whole
        if turn < len(portion.chunks)
    ]


def evaluations_in_hand(device: str) -> int:
    """How many evaluations are asked for at once of an evaluator with these devices."""
    return 1 if device == "cpu" else EVALUATIONS_AHEAD * len(device_list(device))


def chunk_seed(run_seed: int, round_index: int, task_key: str, start: int) -> int:
    """The seed of the chunk of samples that begins at index `start`: 31 bits of a hash of all four."""
    digest = hashlib.sha256(f"{run_seed}:{round_index}:{task_key}:{start}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class Stages:
    """Samples and evaluates for a run; looks at the store first, so nothing is done twice."""

    def __init__(self, store: RunStore, parts: Parts, observe: Observer) -> None:
        self._store, self._parts, self._observe = store, parts, observe
        self._came = 0.0  # when the last draw came

    @property
    def asks_ahead(self) -> bool:
        """A server has many requests in hand at once, unless a budget is to be watched between them."""
        return self._parts.policy.device == REMOTE and self._parts.budget is None

    def reached(self) -> str | None:
        """The limit of the budget that is reached, if one is."""
        budget = self._parts.budget
        return None if budget is None else budget.reached(self._store.search_spend())

    def is_whole(self, plan: RoundPlan) -> bool:
        """Whether everything of a round is sampled and, but for what a shortlist leaves out, evaluated."""
        sampled = sum(len(self._store.indices(plan.index, task.key)) for task in plan.tasks)
        return sampled == plan.samples and not any(self._candidates(plan, task) for task in plan.tasks)

    async def sample(self, plan: RoundPlan, portion: Portion, sampler: Sampler) -> None:
        """The chunks of a portion that are not stored yet, while the budget lasts."""
        stored = self._store.indices(plan.index, portion.task.key)
        missing = [chunk for chunk in portion.chunks if chunk.start not in stored]
        if self.asks_ahead:
            await together([self._sample_chunk(plan, chunk, sampler) for chunk in missing])
            return
        for chunk in missing:
            if self.reached():
                return
            await self._sample_chunk(plan, chunk, sampler)

    async def evaluate(self, plan: RoundPlan, task: Task) -> None:
        """First looks at the programs of a task that have had none, and at the copies, while the budget lasts."""
        candidates = self._candidates(plan, task)
        budget = self._parts.budget
        if budget is not None:
            left = budget.left("evaluations", self._store.search_spend())
            candidates = candidates[: int(min(left, len(candidates)))]
        waiting = _spread(candidates, self._missing_copies(task))
        self._observe(EvaluationStarted(plan.index, task.key, len(waiting)))
        gate = asyncio.Semaphore(evaluations_in_hand(self._parts.evaluator.device))
        last = time.monotonic()

        async def evaluate(candidate: Candidate, purpose: Purpose) -> None:
            nonlocal last
            async with gate:
                if purpose is Purpose.SEARCH and self.reached() == "seconds":
                    return
                evaluation = await self._judged(task, candidate)
            seconds, last = time.monotonic() - last, time.monotonic()  # since the one before ended: they overlap
            self.keep(evaluation, purpose, seconds, plan.index)

        await together([evaluate(candidate, purpose) for candidate, purpose in waiting])

    def keep(self, evaluation: Evaluation, purpose: Purpose, seconds: float, round_index: int | None) -> None:
        """Stores an evaluation with what it cost."""
        spend = Spend(evaluations=1, timing_runs=evaluation.timed_calls, evaluation_s=seconds)
        self._store.add_evaluation(evaluation, purpose, spend, round_index)
        self._observe(Evaluated(evaluation, purpose))

    async def _sample_chunk(self, plan: RoundPlan, chunk: Chunk, sampler: Sampler) -> None:
        group, n = chunk.group, self._affordable(chunk.n)
        task, prompt = group.task, group.prompt or self._parts.prompt(group.task)
        seed = chunk_seed(self._parts.seed, plan.index, task.key, chunk.start)
        params = self._parts.sampling.model_copy(update={"seed": seed})
        began = time.monotonic()
        draw = await sampler.sample(prompt, n, params)
        # Since the one before came, for those that are under way together.
        seconds, self._came = time.monotonic() - max(began, self._came), time.monotonic()
        if len(draw.completions) != n:
            raise PolicyError(f"{self._parts.policy.name} gave {len(draw.completions)} completions, asked for {n}")
        drawn = []
        for index, completion in enumerate(map(answer_apart, draw.completions), chunk.start):
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
        self._store.add_samples(prompt, drawn, _sampling_spend(drawn, draw, seconds))
        parsed = sum(isinstance(one.outcome, Candidate) for one in drawn)
        there = len(self._store.indices(plan.index, task.key))
        wanted = sum(one.samples for one in plan.of(task))
        self._observe(SamplesDrawn(plan.index, task.key, n, parsed, there, wanted, seconds))

    def _affordable(self, n: int) -> int:
        budget = self._parts.budget
        return n if budget is None else int(min(n, budget.left("rollouts", self._store.search_spend())))

    def _candidates(self, plan: RoundPlan, task: Task) -> list[Candidate]:
        """Those that wait for their first look."""
        candidates = self._store.unevaluated(plan.index, task.key)
        if self._parts.shortlist is None:
            return candidates
        wanted = shortlisted_programs(self._store, self._parts.shortlist, self._parts.seed, plan.index, task.key)
        return [candidate for candidate in candidates if candidate.hash in wanted]

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


def numbered_copy(copy: Candidate, number: int) -> Candidate:
    """The same program with a comment at its end, so that each copy is a candidate that is measured by itself.

    The first one, number 0, has none.
    """
    return copy if number == 0 else Candidate(source=f"{copy.source.rstrip()}\n\n# copy {number}\n")


def _chunks(plan: RoundPlan, task: Task, size: int) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(group, start, min(size, group.indices.stop - start))
        for group in plan.of(task)
        for start in group.indices[::size]
    )


def _spread(candidates: Sequence[Candidate], copies: Sequence[Candidate]) -> list[tuple[Candidate, Purpose]]:
    """Copies evenly among the candidates, so that a machine that drifts does so for both."""
    placed = [
        ((number + 1) / (len(several) + 1), candidate, purpose)
        for several, purpose in ((candidates, Purpose.SEARCH), (copies, Purpose.CONTROL))
        for number, candidate in enumerate(several)
    ]
    return [(candidate, purpose) for _, candidate, purpose in sorted(placed, key=lambda one: one[0])]


def _sampling_spend(drawn: Sequence[Drawn], draw: Draw, seconds: float) -> Spend:
    counted = draw.completion_tokens
    completion_tokens = sum(one.sample.n_tokens for one in drawn) if counted is None else counted
    # The prompt is charged once a sample: what a server bills, and what methods are compared by.
    return Spend(
        rollouts=len(drawn),
        prompt_tokens=draw.prompt_tokens * len(drawn),
        completion_tokens=completion_tokens,
        sampling_s=seconds,
        dollars=draw.dollars,
    )
