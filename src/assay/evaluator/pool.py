"""One judge a device, and candidates spread over them.

Each judge keeps its own timing lease, so that a device times one pair at a time; candidates go to the judge with the
fewest in hand, and among equals to one that has the task open already (another would have to make its reference and
inputs first).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from assay.core.protocols import Evaluator
from assay.core.records import Candidate, Evaluation, Task


@dataclass
class _Lane:
    judge: Evaluator
    in_hand: int = 0
    open_task: str = ""


class JudgePool:
    """Implements `core.protocols.Evaluator` over several others, each with a device of its own."""

    def __init__(self, judges: Sequence[Evaluator]) -> None:
        self._lanes = [_Lane(judge) for judge in judges]

    @property
    def device(self) -> str:
        """The devices of all judges, with commas between them."""
        return ",".join(lane.judge.device for lane in self._lanes)

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.evaluate`."""
        return await self._lend(task, lambda judge: judge.evaluate(task, candidate))

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.remeasure`."""
        return await self._lend(task, lambda judge: judge.remeasure(task, candidate))

    async def close(self) -> None:
        """Closes all judges."""
        await asyncio.gather(*(lane.judge.close() for lane in self._lanes))

    async def _lend(self, task: Task, work: Callable[[Evaluator], Awaitable[Evaluation]]) -> Evaluation:
        lane = min(self._lanes, key=lambda lane: (lane.in_hand, lane.open_task != task.key))
        lane.in_hand += 1
        lane.open_task = task.key
        try:
            return await work(lane.judge)
        finally:
            lane.in_hand -= 1
