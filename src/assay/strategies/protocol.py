"""What a strategy is: it decides what is sampled and what is learned, round by round; the runner does the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from assay.core.ledger import Spend
from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Task


@dataclass(frozen=True)
class RoundPlan:
    """One round: `samples` completions for each of `tasks`, all from one snapshot."""

    index: int
    tasks: tuple[Task, ...]
    samples: int


@dataclass(frozen=True)
class Lesson:
    """What came of learning from a round: rewards by sample id, and what the update cost."""

    spend: Spend
    rewards: Mapping[str, float] = field(default_factory=dict)


class Strategy(Protocol):
    """Rounds are asked for in turn: `plan`, `sampler`, (sampling and evaluation by the runner), `learn`.

    A run may end after any of them and go on in another process. So `plan` must depend on nothing but its index and
    what `learn` wrote into its directory, which `open` gets back.
    """

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def learns(self) -> bool:
        """Whether `learn` is called after each round."""
        ...

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Makes ready to sample. `state` is the directory of the last complete round that learned; None at the start.

        Raises UsageError where the policy lacks what the strategy needs.
        """
        ...

    def plan(self, index: int) -> RoundPlan | None:
        """The round with this index, or None when the strategy is done."""
        ...

    async def sampler(self) -> Sampler:
        """The snapshot that the next round is sampled from."""
        ...

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Learns from a complete round and writes into `directory` (there, and empty) what `open` needs.

        May be called again for the same round, if the process ended before the round was marked as complete.
        """
        ...
