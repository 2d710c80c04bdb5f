"""Best-of-N: one round of N samples a task from weights that do not change; the one draw gives the curve over N."""

from collections.abc import Sequence
from pathlib import Path

from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Task
from assay.strategies.protocol import Lesson, RoundPlan
from assay.strategies.settings import StartWeights, starting_sampler


class BestOfN:
    """`samples` completions for each task, in one round, and nothing is learned."""

    name = "best-of-n"
    learns = False

    def __init__(self, tasks: Sequence[Task], samples: int, start: StartWeights | None = None) -> None:
        self._plan = RoundPlan.even(0, tasks, samples)
        self._start = start
        self._sampler: Sampler | None = None

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Any policy will do where no weights are given to start from, and there is no state."""
        self._sampler = await starting_sampler(policy, self._start)

    def plan(self, index: int) -> RoundPlan | None:
        """The one round."""
        return self._plan if index == 0 else None

    async def sampler(self, task: Task) -> Sampler:
        """The unadapted model, or the weights that were given."""
        if self._sampler is None:
            raise RuntimeError("a strategy is opened before it is sampled from")
        return self._sampler

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Never called: `learns` is False."""
        raise NotImplementedError("best-of-n does not learn")
