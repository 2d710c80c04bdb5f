"""Training items as a Tinker server takes them: shifted by one token, and corrected for how the server reduces.

The loss is meant as a sum over completion tokens (`assay.learning.losses`). The hosted service computes that. SkyRL's
server computes (1/B) sum_i (1/W_i) sum_t w_it l_it, with B sequences since the last update and W_i = sum_t w_it; w is 1
for every token, prompt included, unless it is sent. So w is sent, as 1 on completion tokens, and advantages times
B T_i, which makes the two cancel: every loss here is linear in the advantages (ppo's minimum too, for a factor > 0).
Only cross-entropy takes w itself as the weight, where the factor would drop out; -sum A lp is sent as `cispo` with both
clips at 1, whose weight sg(clip(rho, 1, 1)) is 1.

Axes: T completion tokens of one item, L = prompt + T - 1 positions of a shifted sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from assay.core.errors import NotFiniteError, UsageError
from assay.core.protocols import LossName, TrainItem
from assay.learning.losses import CLIP_HIGH, CLIP_LOW, LOSSES

Reduction = Literal["sum", "mean"]
_CLIPS = {"clip_low_threshold": CLIP_LOW, "clip_high_threshold": CLIP_HIGH}
_NO_CLIP = {"clip_low_threshold": 1.0, "clip_high_threshold": 1.0}


@dataclass(frozen=True)
class Row:
    """One item: `inputs` are L token ids, each of `fields` L numbers; position l says how token l + 1 is learned."""

    inputs: list[int]
    fields: dict[str, list[float] | list[int]]


@dataclass(frozen=True)
class Request:
    """A forward-backward pass: the server's name of the loss, its settings, and its data."""

    loss: str
    config: dict[str, float] | None
    rows: list[Row]


def request(
    items: Sequence[TrainItem], prompts: Sequence[tuple[int, ...]], loss: LossName, reduction: Reduction
) -> Request:
    """All items as one pass whose gradient is that of the summed `loss`; `prompts` are the token ids of each prompt."""
    pairs = list(zip(items, prompts, strict=True))
    if reduction == "mean":
        rows = [_weighted(item, prompt, len(item.tokens) * len(pairs)) for item, prompt in pairs]
        if loss == "cross_entropy":
            return Request("cispo", _NO_CLIP, rows)
    elif loss == "cross_entropy":
        rows = [_shifted(item, prompt, {"weights": _masked_advantages(item)}) for item, prompt in pairs]
    else:
        rows = [_shifted(item, prompt, _policy_fields(item, 1.0)) for item, prompt in pairs]
    return Request(loss, _CLIPS if loss in ("ppo", "cispo") else None, rows)


def summed(items: Sequence[TrainItem], outputs: Sequence[Sequence[float]], loss: LossName) -> tuple[float, float, int]:
    """(loss, kl, tokens) as in `StepReport`, from the log-probabilities that a pass gave for every position."""
    theta_N, behaviour_N, advantages_N, mask_N = (
        torch.tensor([value for column in columns for value in column], dtype=torch.float64)
        for columns in (
            [lps[-len(item.tokens) :] for item, lps in zip(items, outputs, strict=True)],
            [item.behaviour_logprobs for item in items],
            [item.advantages for item in items],
            [item.mask for item in items],
        )
    )
    value = LOSSES[loss](theta_N, behaviour_N, advantages_N, mask_N).item()
    unmasked = mask_N != 0
    return value, (behaviour_N - theta_N)[unmasked].mean().item(), int(unmasked.sum())


def check_items(items: Sequence[TrainItem], loss: LossName) -> None:
    """UsageError for an unknown loss and for items that cannot be learned from, NotFiniteError for infinite ones."""
    if loss not in LOSSES:
        raise UsageError(f"no loss is called {loss!r}; use one of {', '.join(LOSSES)}")
    if not any(value != 0 for item in items for value in item.mask):
        raise UsageError(f"{len(items)} items hold no token to learn from; leave the update out")
    for item in items:
        columns = (item.behaviour_logprobs, item.advantages, item.mask)
        lengths = {len(item.tokens), *map(len, columns)}
        if len(lengths) != 1 or not item.tokens:
            raise UsageError(
                f"an item of {item.prompt.task_key} has parts of lengths {sorted(lengths)}; all must be T >= 1"
            )
        if not torch.tensor(columns).isfinite().all():
            raise NotFiniteError(f"an item of {item.prompt.task_key} has numbers that are not finite; nothing was sent")


def _weighted(item: TrainItem, prompt: tuple[int, ...], factor: float) -> Row:
    return _shifted(item, prompt, {**_policy_fields(item, factor), "weights": [1.0] * len(item.tokens)})


def _policy_fields(item: TrainItem, factor: float) -> dict[str, list[float]]:
    # A masked token gets the behaviour 0, so that its ratio is at most 1 and cannot make 0 * infinity.
    behaviour = [value if mask else 0.0 for value, mask in zip(item.behaviour_logprobs, item.mask, strict=True)]
    return {"logprobs": behaviour, "advantages": _masked_advantages(item, factor)}


def _masked_advantages(item: TrainItem, factor: float = 1.0) -> list[float]:
    return [value * mask * factor for value, mask in zip(item.advantages, item.mask, strict=True)]


def _shifted(item: TrainItem, prompt: tuple[int, ...], columns: dict[str, list[float]]) -> Row:
    """Zeros for the prompt's own tokens, which are predicted but not learned."""
    ids = [*prompt, *item.tokens]
    before = [0.0] * (len(prompt) - 1)
    return Row(ids[:-1], {"target_tokens": ids[1:], **{key: [*before, *column] for key, column in columns.items()}})
