"""Several completions of one prompt in one row, so that the prompt is computed once for all of them.

Axes: P prompt tokens, L tokens of the packed row, N tokens that are learned from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pack:
    """One row for one forward pass.

    ids_1L: the prompt, then each completion without its last token, which nothing follows. positions_1L: each
    completion goes on from P. mask_11LL: True where a token may look: at the prompt and at its own completion, up to
    itself; None where that is plain causal attention. places_N: where the logits of each completion token are.
    targets_N: the completion tokens.
    """

    ids_1L: Tensor
    positions_1L: Tensor
    mask_11LL: Tensor | None
    places_N: Tensor
    targets_N: Tensor


def pack(prompt: Sequence[int], completions: Sequence[Sequence[int]], device: torch.device) -> Pack:
    """Packs `completions` (each at least one token long) behind `prompt`."""
    ids, positions = list(prompt), list(range(len(prompt)))
    owners = [0] * len(prompt)
    places: list[int] = []
    for owner, tokens in enumerate(completions, start=1):
        first = len(ids)
        ids += tokens[:-1]
        positions += range(len(prompt), len(prompt) + len(tokens) - 1)
        owners += [owner] * (len(tokens) - 1)
        places += [len(prompt) - 1, *range(first, first + len(tokens) - 1)]
    return Pack(
        ids_1L=torch.tensor([ids], device=device),
        positions_1L=torch.tensor([positions], device=device),
        mask_11LL=_mask(torch.tensor(owners, device=device)) if len(completions) > 1 else None,
        places_N=torch.tensor(places, device=device),
        targets_N=torch.tensor([token for tokens in completions for token in tokens], device=device),
    )


def _mask(owners_L: Tensor) -> Tensor:
    causal = torch.ones(len(owners_L), len(owners_L), dtype=torch.bool, device=owners_L.device).tril()
    may_look = (owners_L[None, :] == 0) | (owners_L[None, :] == owners_L[:, None])
    return (causal & may_look)[None, None]


def fitting(lengths: Sequence[int], limit: int) -> int:
    """How many of the first lengths add up to at most `limit`; at least one where there is any."""
    count = total = 0
    for length in lengths:
        total += length
        if count and total > limit:
            break
        count += 1
    return count
