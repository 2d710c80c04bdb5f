"""What an update is made from: groups of rows, each a completion with its prompt, its reward and reference."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.core.concurrency import together
from assay.core.errors import UsageError
from assay.core.protocols import Sampler
from assay.core.records import Attempt, Prompt, Task
from assay.learning.rewards import HISTORY, RewardConfig, group_rewards
from assay.strategies.protocol import RoundPlan


@dataclass(frozen=True)
class Row:
    """One attempt. reference: its tokens' raw log-probabilities under the starting weights; None if not scored."""

    attempt: Attempt
    prompt: Prompt
    reward: float
    reference: tuple[float, ...] | None = None

    @property
    def tokens(self) -> tuple[int, ...]:
        """Of the completion."""
        return self.attempt.sample.completion.tokens


@dataclass(frozen=True)
class Batch:
    """Groups of one size: each the samples of one prompt, in the order of their draw."""

    round: int
    groups: tuple[tuple[Row, ...], ...]

    @property
    def rows(self) -> list[Row]:
        """All of them."""
        return [row for group in self.groups for row in group]

    @property
    def rewards_PG(self) -> np.ndarray:
        """Rewards, float64 of shape (P, G)."""
        return np.array([[row.reward for row in group] for group in self.groups], float)


def read_batch(
    plan: RoundPlan,
    attempts: Sequence[Attempt],
    prompt: Callable[[Task], Prompt],
    reward: RewardConfig,
    history: Mapping[str, tuple[float, ...]],
    seed: int,
) -> tuple[Batch, dict[str, tuple[float, ...]]]:
    """The groups of a round with their rewards as they are used, and the speedups to remember of each task.

    history: what the last call gave. seed: of the shuffled control. UsageError where the prompts are no longer those
    that the samples were drawn from.
    """
    kept, groups = dict(history), []
    for group in plan.groups:
        task, members = group.task, plan.attempts_of(group, attempts)
        asked = group.prompt or prompt(task)
        _check_prompt(asked, members)
        where = f":{group.first}" if group.first else ""
        rng = random.Random(f"{seed}:{plan.index}:{task.key}{where}")
        found = group_rewards(reward, [one.evaluation for one in members], kept.get(task.key, ()), rng)
        kept[task.key] = found.history[-HISTORY:]
        groups.append(tuple(Row(one, asked, value) for one, value in zip(members, found.values, strict=True)))
    return Batch(plan.index, tuple(groups)), kept


async def score_reference(batch: Batch, reference: Sampler, at_once: int = 1) -> tuple[Batch, int]:
    """The batch with what the starting weights say of its tokens, and how many tokens were read for it."""

    async def scored(row: Row) -> tuple[Row, int]:
        drawn = row.attempt.sample
        if drawn.snapshot_id == reference.id or not row.tokens:  # drawn from the same weights
            return replace(row, reference=drawn.completion.logprobs), 0
        found = await reference.score(row.prompt, row.tokens)
        return replace(row, reference=found.logprobs), len(row.tokens) + (found.prompt_tokens or 0)

    rows = iter(await together([scored(row) for row in batch.rows], at_once))
    groups = [[next(rows) for _ in group] for group in batch.groups]
    read = sum(tokens for group in groups for _, tokens in group)
    return Batch(batch.round, tuple(tuple(row for row, _ in group) for group in groups)), read


def drift(batch: Batch) -> float | None:
    """Mean of lp_snapshot - lp_reference over all sampled tokens; None without a token or without a reference."""
    total, tokens = 0.0, 0
    for row in batch.rows:
        if row.reference is None:
            return None
        total += sum(row.attempt.sample.completion.logprobs) - sum(row.reference)
        tokens += len(row.tokens)
    return total / tokens if tokens else None


def _check_prompt(prompt: Prompt, attempts: Sequence[Attempt]) -> None:
    for one in attempts:
        if one.sample.prompt_hash != prompt.hash:
            raise UsageError(
                f"sample {one.sample.id} was drawn from another prompt than {prompt.task_key} has now:"
                " go on with the version of Assay that began this run, or begin a new one"
            )
