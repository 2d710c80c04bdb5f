"""Several devices: one judge each, candidates spread over the judges that are free."""

import asyncio
from collections.abc import Sequence

from assay.core.records import Candidate, Evaluation, Task
from assay.evaluator.judge import Judge


class JudgePool:
    """Implements `core.protocols.Evaluator` over judges of several devices; each keeps its own timing lease.

    A task's candidates prefer the judge that has the task's reference already, while others wait for a free one.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        self._judges = list(judges)
        self._free = set(range(len(judges)))
        self._last_task: list[Task | None] = [None] * len(judges)
        self._changed = asyncio.Condition()

    @property
    def device(self) -> str:
        """All devices, comma-separated."""
        return ",".join(judge.device for judge in self._judges)

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.evaluate`."""
        return await self._on_free_judge(task, candidate, is_remeasurement=False)

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.remeasure`."""
        return await self._on_free_judge(task, candidate, is_remeasurement=True)

    async def close(self) -> None:
        """Closes every judge."""
        for judge in self._judges:
            await judge.close()

    async def _on_free_judge(self, task: Task, candidate: Candidate, *, is_remeasurement: bool) -> Evaluation:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free)
            index = min(self._free, key=lambda i: (self._last_task[i] != task, i))
            self._free.discard(index)
            self._last_task[index] = task
        try:
            judge = self._judges[index]
            return await (judge.remeasure if is_remeasurement else judge.evaluate)(task, candidate)
        finally:
            async with self._changed:
                self._free.add(index)
                self._changed.notify()
