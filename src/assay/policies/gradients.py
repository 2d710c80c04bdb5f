"""Forward and backward passes of one replica of a model over what it is to learn from.

Axes: N completion tokens of one pack, K listed tokens of a place, E width of the hidden states. The loss is summed over
all items, in as many packs as memory asks for; how items fall into packs changes no number but by rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from assay.core.errors import PolicyError
from assay.core.protocols import LossName
from assay.learning.divergence import divergence
from assay.learning.losses import LOSSES
from assay.policies.adapters import Adapters
from assay.policies.chosen_logprobs import chosen_logprobs, listed_logprobs
from assay.policies.generation import ATTENTION_NAME
from assay.policies.pack_budget import PackBudget
from assay.policies.packing import fitting, pack
from assay.policies.text import prompt_tokens
from assay.policies.weights import LoadedModel
from assay.policies.worker import Check

# Of a prompt and items behind it: the loss that a backward pass starts from, and the log-probabilities of their tokens.
Objective = Callable[["GradientPass", tuple[int, ...], list[Any]], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Sums:
    """What one pass over items adds up to."""

    loss: float
    kl: float
    tokens: int


class GradientPass:
    """One replica's share of every update of one adapter."""

    def __init__(self, loaded: LoadedModel, adapters: Adapters, name: str) -> None:
        """`name`: of the adapter on this replica."""
        self._loaded = loaded
        self._adapters = adapters
        self.name = name
        self.parameters = adapters.parameters(name)
        self.budget = PackBudget(*loaded.devices)

    def run(self, items: Sequence[Any], objective: Objective, check: Check) -> Sums:
        """Adds up the gradient in the parameters; where memory runs out it begins again with smaller packs."""
        with self._adapters.only(self.name), self._adapters.mixed_precision():
            while True:
                try:
                    return self._run_once(items, objective, check)
                except torch.cuda.OutOfMemoryError as error:
                    self.clear()
                    longest = max(len(item.tokens) for item in items)
                    if not self.budget.halve():
                        raise PolicyError(
                            f"one completion of {longest} tokens needs more memory than {self._loaded.place} has "
                            "free; lower max_tokens, or use a device with more memory"
                        ) from error
                torch.cuda.empty_cache()

    def clear(self) -> None:
        """Drops the gradient."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def column(self, rows: Sequence[Sequence[float]]) -> Tensor:
        """The numbers of all rows one after another."""
        return torch.tensor([value for row in rows for value in row], device=self._loaded.model.device)

    def places(self, prompt: tuple[int, ...], chunk: list[Any]) -> tuple[Any, Tensor, Tensor]:
        """(output, hidden_NE, targets_N): `output(hidden_NE)` are the logits of all completion tokens, `targets_N`."""
        model = self._loaded.model
        packed = pack(prompt, [item.tokens for item in chunk], model.device)
        row = {
            "input_ids": packed.ids_1L,
            "position_ids": packed.positions_1L,
            "attention_mask": packed.mask_11LL,
            "use_cache": False,
        }
        if self._shares_prompt:  # these families' logits are the output embedding of the last hidden state
            hidden_1LE = model.base_model(**row).last_hidden_state
            # A model that is spread over devices ends on another one than it begins on.
            hidden_NE = hidden_1LE[0, packed.places_N.to(hidden_1LE.device)]
            return model.get_output_embeddings(), hidden_NE, packed.targets_N
        # One completion: its places are the last ones. Their number, for a tensor of them would be on the first device.
        last = len(packed.targets_N)
        return torch.nn.Identity(), model(**row, logits_to_keep=last).logits[0], packed.targets_N

    def _run_once(self, items: Sequence[Any], objective: Objective, check: Check) -> Sums:
        total, kl, tokens = 0.0, 0.0, 0
        for prompt, chunk in self._packs(items):
            check()
            with self.budget.measured(len(prompt) + sum(len(item.tokens) for item in chunk)):
                value, theta_N = objective(self, prompt, chunk)
                value.backward()
            total += value.item()
            unmasked = self.column([item.mask for item in chunk]) != 0
            behaviour_N = self.column([item.behaviour_logprobs for item in chunk])
            kl += (behaviour_N - theta_N.detach())[unmasked].sum().item()
            tokens += int(unmasked.sum())
        return Sums(total, kl, tokens)

    def _packs(self, items: Sequence[Any]) -> Iterator[tuple[tuple[int, ...], list[Any]]]:
        """Items that share a prompt together, as many as the memory budget says when their turn comes.

        Families whose attention does not take a mask of ours get one completion a pack.
        """
        by_prompt: dict[tuple[int, ...], list[Any]] = {}
        for item in items:
            by_prompt.setdefault(prompt_tokens(self._loaded.tokenizer, item.prompt), []).append(item)
        for prompt, group in by_prompt.items():
            while group:
                limit = self.budget.tokens if self._shares_prompt else 1
                count = fitting([len(item.tokens) for item in group], limit)
                yield prompt, group[:count]
                group = group[count:]

    @property
    def _shares_prompt(self) -> bool:
        return self._loaded.model.config._attn_implementation == ATTENTION_NAME


def policy_loss(
    loss: LossName, passes: GradientPass, prompt: tuple[int, ...], chunk: list[Any]
) -> tuple[Tensor, Tensor]:
    """A loss of `assay.learning.losses`: an `Objective` once `loss` is given."""
    behaviour_N, advantages_N, mask_N = (
        passes.column([getattr(item, name) for item in chunk]) for name in ("behaviour_logprobs", "advantages", "mask")
    )
    theta_N = chosen_logprobs(*passes.places(prompt, chunk)).to(mask_N.device)
    return LOSSES[loss](theta_N, behaviour_N, advantages_N, mask_N), theta_N


def divergence_loss(
    alpha: float, passes: GradientPass, prompt: tuple[int, ...], chunk: list[Any]
) -> tuple[Tensor, Tensor]:
    """The divergence from the items' targets: an `Objective` once `alpha` is given.

    The chosen tokens' log-probabilities come along as one column more of the listed ones.
    """
    output, hidden_NE, targets_N = passes.places(prompt, chunk)
    device = targets_N.device
    listed = [place for item in chunk for place in item.targets]
    listed_NK = torch.tensor([[token for token, _ in place] for place in listed], device=device)
    teacher_NK = torch.tensor([[logprob for _, logprob in place] for place in listed], device=device)
    theta_NK = listed_logprobs(output, hidden_NE, torch.cat([listed_NK, targets_N[:, None]], dim=-1)).to(device)
    divergence_N = divergence(theta_NK[:, :-1], teacher_NK, alpha)
    return (divergence_N * passes.column([item.mask for item in chunk])).sum(), theta_NK[:, -1]


def shares(items: Sequence[Any], parts: int) -> list[list[Any]]:
    """Items in at most `parts` runs with about as many completion tokens each, none empty; equal prompts stay together.

    Deterministic. A run that a prompt is cut by costs that prompt's computation once more, and changes no sum.
    """
    if parts == 1:
        return [list(items)]
    first_seen: dict[Any, int] = {}
    for item in items:
        first_seen.setdefault(item.prompt, len(first_seen))
    ordered = sorted(items, key=lambda item: first_seen[item.prompt])
    total = sum(len(item.tokens) for item in ordered)
    found: list[list[Any]] = [[] for _ in range(parts)]
    before = 0
    for item in ordered:
        middle = before + len(item.tokens) / 2
        found[int(parts * middle / total)].append(item)
        before += len(item.tokens)
    return [part for part in found if part]
