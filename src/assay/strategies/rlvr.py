"""Reinforcement learning from verified rewards: an outer loop over training tasks, with evaluations of others between.

Each step draws G samples of each task of a batch, and makes one update on them. The order of the tasks is a function of
the seed alone: every epoch is a shuffle of its own, cut into whole batches. The evaluation tasks are measured before
the first step, after every so many steps, and after the last; their rounds are marked, and nothing is learned from
them. Published as the outer loop (Barnes 2026): GRPO, 8 tasks x 8 samples, 40 steps.

Guardrails end the training as in `learner`; what was measured so far stands.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, Task
from assay.strategies.objective import Objective
from assay.strategies.protocol import Lesson, RoundPlan
from assay.strategies.settings import TrainingSettings
from assay.strategies.training import TrainingCore


@dataclass(frozen=True)
class OuterLoop:
    """Sizes.

    batch: tasks a step, all of them if they are fewer. samples: of a task in a step. eval_every: steps between
    evaluations, 0 for none; eval_samples: of a task in one. checkpoint_every: of so many steps the weights are kept,
    beside those of the last.
    """

    batch: int
    samples: int
    eval_every: int
    eval_samples: int
    checkpoint_every: int


@dataclass(frozen=True)
class _Round:
    """What a round is for; step: of training, from 1, or after which an evaluation is made, from 0."""

    role: Literal["search", "evaluation"]
    step: int


class OuterLoopTraining:
    """`settings.steps` updates over the training tasks."""

    name = "rlvr"
    learns = True

    def __init__(
        self,
        train: Sequence[Task],
        evaluation: Sequence[Task],
        prompt: Callable[[Task], Prompt],
        settings: TrainingSettings,
        objective: Objective,
        sizes: OuterLoop,
    ) -> None:
        self.settings, self.sizes = settings, sizes
        self._train, self._evaluation = tuple(train), tuple(evaluation)
        self._schedule = _schedule(settings.steps, sizes.eval_every if evaluation else 0)
        self._core = TrainingCore([*train, *evaluation], prompt, settings, objective)

    async def open(self, policy: Policy, state: Path | None) -> None:
        """A fresh adapter, or the one that was saved; UsageError where the policy lacks what training takes."""
        await self._core.open(policy, state)

    def plan(self, index: int) -> RoundPlan | None:
        """The next batch or evaluation, until all steps are made or a guardrail has spoken."""
        if index >= len(self._schedule) or self._core.is_stopped(self._train[0]):
            return None
        here = self._schedule[index]
        if here.role == "evaluation":
            plan = RoundPlan.even(index, self._evaluation, self.sizes.eval_samples)
            return RoundPlan(index, plan.groups, role="evaluation")
        return RoundPlan.even(index, self.batch(here.step), self.sizes.samples)

    async def sampler(self, task: Task) -> Sampler:
        """The weights after all updates so far."""
        return await self._core.sampler(task)

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """An update from a batch; only a note of an evaluation. The weights of most rounds are let go."""
        if plan.role == "evaluation":
            lesson = await self._core.note_evaluation(plan, attempts, directory)
        else:
            why_final = "the budget is spent, so no round would show what an update does" if plan.is_last else ""
            lesson = await self._core.learn(plan, attempts, directory, why_final)
        before = plan.index - 1
        is_kept = before < 0 or self._is_checkpoint(before)
        return Lesson(lesson.spend, lesson.rewards, () if is_kept else (before,))

    def batch(self, step: int) -> tuple[Task, ...]:
        """The tasks of a step, counted from 1."""
        size = min(self.sizes.batch, len(self._train))
        epoch, place = divmod(step - 1, len(self._train) // size)
        order = list(self._train)
        random.Random(f"{self.settings.seed}:epoch:{epoch}").shuffle(order)
        return tuple(order[place * size : (place + 1) * size])

    def _is_checkpoint(self, index: int) -> bool:
        here = self._schedule[index]
        return here.role == "search" and (
            here.step % self.sizes.checkpoint_every == 0 or here.step == self.settings.steps
        )


def _schedule(steps: int, eval_every: int) -> tuple[_Round, ...]:
    rounds = [_Round("evaluation", 0)] if eval_every else []
    for step in range(1, steps + 1):
        rounds.append(_Round("search", step))
        if eval_every and (step % eval_every == 0 or step == steps):
            rounds.append(_Round("evaluation", step))
    return tuple(rounds)
