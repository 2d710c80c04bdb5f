"""Best-of-N: one round of N samples a task from the unadapted model. The whole curve over N comes from the one draw."""

from collections.abc import Sequence
from pathlib import Path

from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Task
from assay.strategies.protocol import Lesson, RoundPlan


class BestOfN:
    """`samples` completions for each task, in one round, and nothing is learned."""

    name = "best-of-n"
    learns = False

    def __init__(self, tasks: Sequence[Task], samples: int) -> None:
        self._plan = RoundPlan(index=0, tasks=tuple(tasks), samples=samples)
        self._sampler: Sampler | None = None

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Any policy will do, and there is no state."""
        self._sampler = policy.base()

    def plan(self, index: int) -> RoundPlan | None:
        """The one round."""
        return self._plan if index == 0 else None

    async def sampler(self) -> Sampler:
        """The unadapted model."""
        if self._sampler is None:
            raise RuntimeError("a strategy is opened before it is sampled from")
        return self._sampler

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Never called: `learns` is False."""
        raise NotImplementedError("best-of-n does not learn")
