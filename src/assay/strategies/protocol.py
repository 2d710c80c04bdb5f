"""What a strategy is: it decides what is sampled and what is learned, round by round; the runner does the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol, Self

from assay.core.ledger import Spend
from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, Task

WEIGHTS_FOLDER = "trainer"  # within a round's directory: what `Lesson.unneeded_weights` lets go


@dataclass(frozen=True)
class Group:
    """`samples` completions of `task` from one prompt; None is the task's own.

    first: index of the first of them within (round, task). Groups of one task in one round have index ranges that do
    not overlap, and so each sample has an id of its own, whichever prompt it answers.
    """

    task: Task
    samples: int
    prompt: Prompt | None = None
    first: int = 0

    @property
    def indices(self) -> range:
        """Indices of its samples within (round, task)."""
        return range(self.first, self.first + self.samples)


@dataclass(frozen=True)
class RoundPlan:
    """One round: groups of completions, those of one task all from one snapshot.

    role: the samples of an `evaluation` round only measure a snapshot, and nothing is learned from them. is_last: set
    by the runner before `learn` where a budget is spent, so no round will follow, and an update would be of no use.
    ValueError for groups of one task whose indices overlap or leave a gap.
    """

    index: int
    groups: tuple[Group, ...]
    role: Literal["search", "evaluation"] = "search"
    is_last: bool = False

    def __post_init__(self) -> None:
        for task in self.tasks:
            ranges = sorted((group.indices for group in self.of(task)), key=lambda one: one.start)
            if ranges[0].start != 0 or any(a.stop != b.start for a, b in pairwise(ranges)):
                raise ValueError(f"round {self.index}: the groups of {task.key} do not follow one another: {ranges}")

    @classmethod
    def even(cls, index: int, tasks: Sequence[Task], samples: int) -> Self:
        """`samples` completions for each of `tasks`, from its own prompt."""
        return cls(index, tuple(Group(task, samples) for task in tasks))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, each once, in the order of their first group."""
        return tuple({group.task.key: group.task for group in self.groups}.values())

    @property
    def samples(self) -> int:
        """Completions of all groups together."""
        return sum(group.samples for group in self.groups)

    def of(self, task: Task) -> tuple[Group, ...]:
        """The groups of one task."""
        return tuple(group for group in self.groups if group.task.key == task.key)

    def attempts_of(self, group: Group, attempts: Sequence[Attempt]) -> list[Attempt]:
        """Those of `attempts` (of this round) that belong to `group`, in their order."""
        key, indices = group.task.key, group.indices
        return [one for one in attempts if one.sample.task_key == key and one.sample.index in indices]


@dataclass(frozen=True)
class Lesson:
    """What came of learning from a round: rewards by sample id, and what it cost.

    unneeded_weights: rounds whose saved weights nobody will ask for, once this round is marked as complete.
    """

    spend: Spend
    rewards: Mapping[str, float] = field(default_factory=dict)
    unneeded_weights: tuple[int, ...] = ()


class Strategy(Protocol):
    """Rounds are asked for in turn: `plan`, `sampler`, (sampling and evaluation by the runner), `learn`.

    A run may end after any of them and go on in another process. So `plan` must depend on nothing but its index and
    what `learn` wrote into its directory, which `open` gets back. That holds for the prompts of a plan's groups too:
    one that quotes an earlier attempt is made again, equal by hash, from what `learn` wrote.
    """

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def learns(self) -> bool:
        """Whether `learn` is called after each round: to change the weights, or only to remember something."""
        ...

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Makes ready to sample. `state` is the directory of the last complete round that learned; None at the start.

        Raises UsageError where the policy lacks what the strategy needs.
        """
        ...

    def plan(self, index: int) -> RoundPlan | None:
        """The round with this index, or None when the strategy is done."""
        ...

    async def sampler(self, task: Task) -> Sampler:
        """The snapshot that the next round's samples of `task` come from; asked once for each task of a round."""
        ...

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Learns from a complete round and writes into `directory` (there, and empty) what `open` needs.

        May be called again for the same round, if the process ended before the round was marked as complete.
        """
        ...
