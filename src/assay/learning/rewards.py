"""Rewards: one number for what the judge said of a sample.

| type | reward of a correct sample; any other has 0 |
|---|---|
| `log_lower` | log of the low end of the speedup's interval, cut to [0, cap]; 0 where the verdict is `same` |
| `raw` | the speedup |
| `normalized` | speedup / median of the task's last 32 correct speedups (1.0 before there is one) + bonus |
| `sparse` | 1 if the low end is above a threshold and the verdict, if the rule has one, is `faster`; else 0 |

`log_lower` pays for what was measured and not for what may be noise: doing nothing earns nothing. `raw` and
`normalized` take the point estimate, as published runs did (Barnes 2026), and so pay for noise as well. `shuffled`
permutes a group's rewards among its samples: the same rewards, tied to nothing, so whatever it improves is no learning.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log
from statistics import median
from typing import Literal

from pydantic import Field

from assay.core.records import Evaluation, Record, Speedup, Verdict

RewardName = Literal["log_lower", "raw", "normalized", "sparse"]

HISTORY = 32


class RewardConfig(Record):
    """Which reward. cap (natural log, 3.0 is a 20-fold speedup): of log_lower; bonus: of normalized; threshold: of
    sparse, as a speedup; shuffled: permute the rewards of each group before use, with any type.
    """

    type: RewardName = "log_lower"
    cap: float = Field(default=3.0, gt=0)
    bonus: float = Field(default=0.0, ge=0)
    threshold: float = Field(default=1.0, ge=1.0)
    shuffled: bool = False


@dataclass(frozen=True)
class GroupRewards:
    """values: one for each evaluation, in order, as they are to be used. history: the task's correct speedups, the
    latest last, at most `HISTORY` of them.
    """

    values: tuple[float, ...]
    history: tuple[float, ...]


def group_rewards(
    config: RewardConfig, evaluations: Sequence[Evaluation], history: Sequence[float], rng: random.Random
) -> GroupRewards:
    """Rewards of one task's samples in the order of their draw.

    history: what the last call for this task gave. Each correct sample is added after its own reward is computed, so
    within a group the later samples are measured against the earlier ones. rng: used for shuffling only.
    """
    kept, values = list(history), []
    for evaluation in evaluations:
        values.append(reward(config, evaluation, kept))
        if evaluation.speedup is not None and isfinite(evaluation.speedup.ratio):
            kept = [*kept, evaluation.speedup.ratio][-HISTORY:]
    if config.shuffled:
        rng.shuffle(values)
    return GroupRewards(tuple(values), tuple(kept))


def reward(config: RewardConfig, evaluation: Evaluation, history: Sequence[float] = ()) -> float:
    """The reward of one sample, unshuffled; at least 0, and finite where the speedup is."""
    speedup = evaluation.speedup
    if speedup is None:
        return 0.0
    match config.type:
        case "raw":
            return speedup.ratio
        case "normalized":
            return speedup.ratio / (median(history[-HISTORY:]) if history else 1.0) + config.bonus
        case "sparse":
            return float(speedup.low > config.threshold and evaluation.verdict in (Verdict.FASTER, None))
        case "log_lower":
            return _log_lower(speedup, evaluation.verdict, config.cap)


def _log_lower(speedup: Speedup, verdict: Verdict | None, cap: float) -> float:
    return 0.0 if verdict is Verdict.SAME else min(max(log(speedup.low), 0.0), cap)
