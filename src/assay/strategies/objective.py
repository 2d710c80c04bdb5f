"""What an update aims at: rewards, by the policy gradient; `self_distillation` has the other, a teacher."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.core.errors import NotFiniteError
from assay.core.protocols import Policy, Sampler, StepReport, Trainer, TrainItem
from assay.learning.advantages import advantages
from assay.learning.names import AdvantageName
from assay.learning.shaping import kl_shaping
from assay.strategies.batch import Batch, Row
from assay.strategies.settings import TrainingSettings


@dataclass(frozen=True)
class Weights:
    """trainer: of the weights that change. snapshot: these weights as the round was sampled from them. reference: the
    weights that training began with. at_once: how many scores may be under way together.
    """

    trainer: Trainer
    snapshot: Sampler
    reference: Sampler
    at_once: int = 1


@dataclass(frozen=True)
class Update:
    """What was done. report: None where no update was made, and `why_not` says why; is_broken: it would not have been
    finite. scored: tokens that were read to make it. teacher_gap, solutions: see `StepNote`.
    """

    items: int = 0
    report: StepReport | None = None
    why_not: str = ""
    is_broken: bool = False
    scored: int = 0
    teacher_gap: float | None = None
    solutions: int | None = None


class Objective(Protocol):
    """Makes one update from a batch."""

    def check(self, policy: Policy) -> None:
        """UsageError where the policy lacks what it takes."""
        ...

    async def update(self, batch: Batch, weights: Weights) -> Update:
        """One update, or none where there is nothing to learn from."""
        ...


class PolicyGradient:
    """Advantages of rewards, the same for all tokens of a completion, and KL shaping on top where it is asked for.

    A completion whose advantages are all 0 moves nothing and is left out. Under shaping those stay whose group has
    rewards that differ; a group of equal rewards is left out in any case, but by `global`, which credits it as a whole.
    """

    def __init__(self, settings: TrainingSettings, advantage: AdvantageName) -> None:
        self._settings = settings
        self._advantage: AdvantageName = advantage

    def check(self, policy: Policy) -> None:
        """Nothing beyond what every update takes."""

    async def update(self, batch: Batch, weights: Weights) -> Update:
        """One step on all of the batch that has an advantage."""
        items = self.items(batch)
        if not items:
            return Update(why_not="the rewards of every task are all equal, so there is nothing to learn from")
        settings = self._settings
        return await made(len(items), weights.trainer.step(items, settings.loss, settings.adam))

    def items(self, batch: Batch) -> list[TrainItem]:
        """What the update is made from."""
        by_group = advantages(self._advantage, batch.rewards_PG)
        used = [
            (row, float(advantage))
            for group, advantages_G in zip(batch.groups, by_group, strict=True)
            if advantages_G.any()
            for row, advantage in zip(group, advantages_G, strict=True)
            if row.tokens and (advantage or self._settings.kl_coef)
        ]
        per_token = shaped([row for row, _ in used], [[a] * len(row.tokens) for row, a in used], self._settings.kl_coef)
        return [train_item(row, of_tokens) for (row, _), of_tokens in zip(used, per_token, strict=True)]


def shaped(rows: Sequence[Row], advantages: Sequence[Sequence[float]], coefficient: float) -> list[tuple[float, ...]]:
    """Advantages a token with KL shaping. ValueError where it is asked for and a row has no reference."""
    if not coefficient:
        return [tuple(of_row) for of_row in advantages]
    references = [row.reference for row in rows]
    if any(one is None for one in references):
        raise ValueError("KL shaping takes rows that the starting weights have scored")
    drawn = [row.attempt.sample.completion.logprobs for row in rows]
    added = kl_shaping(drawn, [one or () for one in references], coefficient)
    return [
        tuple(a + float(b) for a, b in zip(of_row, of_shaping, strict=True))
        for of_row, of_shaping in zip(advantages, added, strict=True)
    ]


def train_item(row: Row, of_tokens: Sequence[float]) -> TrainItem:
    """A completion with an advantage a token."""
    drawn = row.attempt.sample.completion
    return TrainItem(row.prompt, drawn.tokens, drawn.logprobs, tuple(of_tokens), (1.0,) * len(drawn.tokens))


async def made(items: int, step: Awaitable[StepReport]) -> Update:
    """The update that a step makes; one that is not finite was not made."""
    try:
        return Update(items=items, report=await step)
    except NotFiniteError as error:
        return Update(why_not=str(error), is_broken=True)
