"""What a run tells whoever watches it. Every event is sent after what it reports is on disk."""

from collections.abc import Callable
from dataclasses import dataclass

from assay.core.ledger import Spend
from assay.core.records import Evaluation
from assay.runs.schema import Purpose


@dataclass(frozen=True)
class RoundStarted:
    """A round begins, or goes on: `stored` of its `samples` completions, of `tasks` tasks, are there already."""

    round: int
    tasks: int
    samples: int
    stored: int


@dataclass(frozen=True)
class SamplesDrawn:
    """`new` more completions of a task, `parsed` of them programs; `drawn` of `samples` are there now."""

    round: int
    task_key: str
    new: int
    parsed: int
    drawn: int
    samples: int
    seconds: float


@dataclass(frozen=True)
class EvaluationStarted:
    """`candidates` distinct programs of a task wait for their first look, controls included."""

    round: int
    task_key: str
    candidates: int


@dataclass(frozen=True)
class Evaluated:
    """The judge has spoken."""

    evaluation: Evaluation
    purpose: Purpose


@dataclass(frozen=True)
class RoundFinished:
    """Everything of a round is stored."""

    round: int
    spent: Spend


@dataclass(frozen=True)
class RemeasuringStarted:
    """`candidates` programs that were picked for their speed are measured again."""

    candidates: int


@dataclass(frozen=True)
class RunFinished:
    """The run is complete."""

    spent: Spend


Event = RoundStarted | SamplesDrawn | EvaluationStarted | Evaluated | RoundFinished | RemeasuringStarted | RunFinished
Observer = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An observer for those who do not watch."""
