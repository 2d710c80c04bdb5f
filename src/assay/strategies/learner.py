"""One adapter that learns: guardrails, then an update, then a note of it.

Training ends, with everything measured so far kept, when a reward or an update is not finite, when the drift from the
starting weights (mean over sampled tokens of lp_snapshot - lp_reference) is above a limit, and when the mean reward
collapses to a small share of the one before.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.core.protocols import Sampler, Trainer
from assay.learning.advantages import is_constant
from assay.strategies.batch import Batch, drift, score_reference
from assay.strategies.notes import StepNote
from assay.strategies.objective import Objective, Update, Weights
from assay.strategies.settings import TrainingSettings


@dataclass(frozen=True)
class Learned:
    """The note of a round, and how many tokens were scored for it."""

    note: StepNote
    scored: int


class Learner:
    """A trainer with the snapshot that was last taken of it.

    key: of the task it belongs to, None if of all tasks. at_once: how many scores may be under way together.
    """

    def __init__(
        self,
        key: str | None,
        settings: TrainingSettings,
        objective: Objective,
        trainer: Trainer,
        reference: Sampler,
        at_once: int = 1,
    ) -> None:
        self.key = key
        self._at_once = at_once
        self._settings, self._objective = settings, objective
        self._trainer, self._reference = trainer, reference
        self._snapshot: Sampler | None = None

    async def sampler(self) -> Sampler:
        """The weights after all updates so far: one snapshot until the next update."""
        if self._snapshot is None:
            self._snapshot = await self._trainer.snapshot("current")
        return self._snapshot

    async def save(self, directory: Path) -> None:
        """Weights and optimizer, as a policy's `trainer` takes them up again."""
        await self._trainer.save(directory)

    async def learn(self, batch: Batch, last_mean: float | None, why_final: str) -> Learned:
        """One update, unless `why_final` says why none is wanted, or a guardrail speaks.

        last_mean: mean reward of the round before.
        """
        settings, scored, drifted = self._settings, 0, None
        if settings.needs_reference:
            batch, scored = await score_reference(batch, self._reference, self._at_once)
            drifted = drift(batch)
        why_stopped = _guardrail(settings, batch.rewards_PG, last_mean, drifted)
        if why_final or why_stopped:
            update = Update(why_not=why_final or why_stopped)
        else:
            weights = Weights(self._trainer, await self.sampler(), self._reference, self._at_once)
            update = await self._objective.update(batch, weights)
        if update.report is not None:
            self._snapshot = None
        is_stopped = not why_final and bool(why_stopped or update.is_broken)
        return Learned(self._note(batch, update, drifted, is_stopped), scored + update.scored)

    def _note(self, batch: Batch, update: Update, drifted: float | None, is_stopped: bool) -> StepNote:
        rewards_PG, report = batch.rewards_PG, update.report
        return StepNote(
            round=batch.round,
            task_key=self.key,
            groups=len(batch.groups),
            constant=int(is_constant(rewards_PG).sum()),
            items=update.items if report else 0,
            is_updated=report is not None,
            why_not=update.why_not,
            is_stopped=is_stopped,
            mean_reward=mean_reward(batch),
            drift=drifted,
            loss=report and report.loss,
            grad_norm=report and report.grad_norm,
            sampler_gap=report and report.kl,
            teacher_gap=update.teacher_gap,
            solutions=update.solutions,
        )


def mean_reward(batch: Batch) -> float | None:
    """None where a reward is not finite."""
    rewards_PG = batch.rewards_PG
    return float(rewards_PG.mean()) if rewards_PG.size and np.isfinite(rewards_PG).all() else None


def _guardrail(
    settings: TrainingSettings, rewards_PG: np.ndarray, last_mean: float | None, drifted: float | None
) -> str:
    """Why training is to end here; empty where it may go on."""
    if not np.isfinite(rewards_PG).all():
        return "a reward is not a finite number"
    if settings.kl_limit and drifted is not None and drifted > settings.kl_limit:
        return f"drift of {drifted:.3g} nats a token from the starting weights, limit {settings.kl_limit:g}"
    mean = float(rewards_PG.mean()) if rewards_PG.size else 0.0
    if last_mean is not None and last_mean > 0 and mean < settings.collapse_below * last_mean:
        return f"the mean reward fell from {last_mean:.3g} to {mean:.3g}, below {settings.collapse_below:.0%} of it"
    return ""
