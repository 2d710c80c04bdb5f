"""Extended adaptation: many steps, and every round goes on from the best programs so far (TTT-Discover, 2601.16175).

Each round expands a few states of every task: earlier programs that `state_buffer` picks, each shown in the prompt with
its measured speedup, or the task itself. The samples of one state are one group of the update, whose advantages compare
what different continuations of the same program are worth; as published they are entropic, with KL shaping. S steps
make S updates and S + 1 rounds, of which the last is measured and not learned from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from assay.core.errors import UsageError
from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, StoredRecord, Task
from assay.prompting.feedback import Earlier, with_earlier
from assay.strategies.objective import Objective
from assay.strategies.protocol import Group, Lesson, RoundPlan
from assay.strategies.settings import TrainingSettings
from assay.strategies.state_buffer import Child, State, StateBuffer
from assay.strategies.test_time_training import LAST
from assay.strategies.training import TrainingCore

STATES_FILE = "states.json"


@dataclass(frozen=True)
class Reuse:
    """How states are reused. groups: expansions of each task in a round; c: weight of exploration in their choice.

    keep: children of an expansion that become states. capacity: states of a task at most.
    """

    groups: int
    c: float = 1.0
    keep: int = 2
    capacity: int = 1000


class Expansions(StoredRecord):
    """After a round: the states of each task by its key, and which of them the next round expands, in order."""

    round: int
    buffers: dict[str, StateBuffer]
    next: dict[str, tuple[State, ...]]


class Discovery:
    """`samples` completions of each task in a round, in `reuse.groups` groups of one size, one for each state."""

    name = "discover"
    learns = True

    def __init__(
        self,
        tasks: Sequence[Task],
        samples: int,
        prompt: Callable[[Task], Prompt],
        settings: TrainingSettings,
        objective: Objective,
        reuse: Reuse,
        is_isolated: bool = False,
    ) -> None:
        if samples % reuse.groups:
            raise ValueError(f"{samples} samples in {reuse.groups} groups of one size")
        self.settings = settings
        self._tasks = tuple(tasks)
        self._size = samples // reuse.groups
        self._prompt, self._reuse = prompt, reuse
        self._core = TrainingCore(tasks, prompt, settings, objective, is_isolated)
        self._expansions = self._chosen(-1, {task.key: StateBuffer() for task in self._tasks})

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Fresh adapters and no state but the roots, or what was saved; UsageError as for every training."""
        await self._core.open(policy, state)
        if state is not None:
            self._expansions = _read(state)

    def plan(self, index: int) -> RoundPlan | None:
        """The states that are expanded in this round, until all steps are made or a guardrail has spoken."""
        going = [task for task in self._tasks if not self._core.is_stopped(task)]
        if not going or index > self.settings.steps:
            return None
        return RoundPlan(index, tuple(group for task in going for group in self._groups(task)))

    async def sampler(self, task: Task) -> Sampler:
        """The weights of a task after all updates so far."""
        return await self._core.sampler(task)

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """The update, the states that came of the round, and the choice of those to go on from."""
        is_final = plan.is_last or plan.index >= self.settings.steps
        lesson = await self._core.learn(plan, attempts, directory, LAST if is_final else "", saves=not is_final)
        buffers = dict(self._expansions.buffers)
        for task in plan.tasks:
            buffers[task.key] = self._grown(buffers[task.key], plan, task, attempts)
        self._expansions = self._chosen(plan.index, buffers)
        (directory / STATES_FILE).write_text(self._expansions.model_dump_json() + "\n")
        return lesson

    def _groups(self, task: Task) -> list[Group]:
        return [
            Group(task, self._size, prompt_from(self._prompt(task), state), number * self._size)
            for number, state in enumerate(self._expansions.next[task.key])
        ]

    def _chosen(self, round: int, buffers: dict[str, StateBuffer]) -> Expansions:
        picks = {key: buffer.picks(self._reuse.groups, self._reuse.c) for key, buffer in buffers.items()}
        return Expansions(round=round, buffers=buffers, next=picks)

    def _grown(self, buffer: StateBuffer, plan: RoundPlan, task: Task, attempts: Sequence[Attempt]) -> StateBuffer:
        """Groups of the same state are one expansion of it."""
        children: dict[str, list[Child]] = {}
        for group, state in zip(plan.of(task), self._expansions.next[task.key], strict=True):
            children.setdefault(state.id, []).extend(
                Child(source=one.candidate.source, evaluation=one.evaluation)
                for one in plan.attempts_of(group, attempts)
                if one.candidate is not None
            )
        for state_id, of_state in children.items():
            buffer = buffer.expanded(state_id, of_state, plan.index, self._reuse.keep, self._reuse.capacity)
        return buffer


def prompt_from(prompt: Prompt, state: State) -> Prompt | None:
    """The task's prompt after the program of `state` and its result; None, for the task's own, at the root."""
    if state.source is None or state.evaluation is None:
        return None
    return with_earlier(prompt, [Earlier(source=state.source, text="", evaluation=state.evaluation)])


def _read(directory: Path) -> Expansions:
    path = directory / STATES_FILE
    try:
        return Expansions.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} cannot be read ({error}); put it back, or begin a new run") from error
