"""Batch test-time training: sample, evaluate, update on everything together, and sample again with the new weights.

Step s draws G samples of each task from the current snapshot; after their evaluation one update is made on all of them
(Barnes 2026, section on batch adaptation), or, isolated, one for each task on its own samples. S steps make S updates
and S + 1 measured rounds; the first round is the starting weights, and the last one is measured and not learned from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, Task
from assay.strategies.objective import Objective
from assay.strategies.protocol import Lesson, RoundPlan
from assay.strategies.settings import TrainingSettings
from assay.strategies.training import TrainingCore

LAST = "the last round is measured and not learned from"


class BatchTestTimeTraining:
    """`samples` completions of each task in each of `settings.steps` + 1 rounds, with one update between rounds.

    What an update aims at is the objective's: rewards for `ttt`, a teacher for `sdpo`.
    """

    learns = True

    def __init__(
        self,
        tasks: Sequence[Task],
        samples: int,
        prompt: Callable[[Task], Prompt],
        settings: TrainingSettings,
        objective: Objective,
        is_isolated: bool = False,
        name: str = "ttt",
    ) -> None:
        self.name = name
        self.settings = settings
        self._tasks = tuple(tasks)
        self._samples = samples
        self._core = TrainingCore(tasks, prompt, settings, objective, is_isolated)

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Fresh adapters, or those that were saved; UsageError where the policy lacks what training takes."""
        await self._core.open(policy, state)

    def plan(self, index: int) -> RoundPlan | None:
        """All tasks again whose training no guardrail has ended, until all steps are made."""
        going = [task for task in self._tasks if not self._core.is_stopped(task)]
        return RoundPlan.even(index, going, self._samples) if going and index <= self.settings.steps else None

    async def sampler(self, task: Task) -> Sampler:
        """The weights of a task after all updates so far."""
        return await self._core.sampler(task)

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Rewards, and the updates that follow from them, unless no round will follow or there is nothing to learn."""
        is_final = plan.is_last or plan.index >= self.settings.steps
        return await self._core.learn(plan, attempts, directory, LAST if is_final else "", saves=not is_final)
