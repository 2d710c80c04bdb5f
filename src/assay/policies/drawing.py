"""Drawing tokens from logits, and their raw log-probabilities.

Axes: B rows, V vocabulary. On a CPU, sorting a vocabulary of 150,000 or filling it with random numbers for every row
costs more than a layer of a small model; a draw here takes one random number a row and two passes over the logits.
"""

import torch
from torch import Tensor

from assay.policies.gpu_kernels import kernels_for

BLOCK = 512
NUCLEUS_GUESS = 128


def raw_log_probs(logits_BV: Tensor, tokens_B: Tensor, log_total_B: Tensor) -> Tensor:
    """The log softmax of `logits_BV` at `tokens_B`, given the log-sum-exp of each row: float32, (B,)."""
    return logits_BV.gather(-1, tokens_B[:, None])[:, 0] - log_total_B


def draw_tokens(logits_BV: Tensor, uniforms_B: Tensor, temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """One token a row, with its raw log-probability (temperature 1, full vocabulary).

    logits_BV: floating; uniforms_B: float64 in [0, 1). `temperature` 0 takes the most likely token. `top_p` keeps the
    smallest set of tokens, by descending probability at `temperature`, whose probability reaches it.
    Returns tokens_B (int64) and logprobs_B (float32). A row with NaN or an infinite logit gets NaN.
    """
    kernels = kernels_for(logits_BV.device)
    if kernels and temperature > 0 and top_p == 1:
        return kernels.draw(logits_BV, uniforms_B, temperature)
    logits_BV = logits_BV.float()
    top_B = logits_BV.amax(dim=-1)
    shifted_BV = logits_BV - top_B[:, None]
    weights_BV = torch.exp(shifted_BV)
    log_total_B = weights_BV.sum(dim=-1).log() + top_B
    if temperature == 0:
        tokens_B = logits_BV.argmax(dim=-1)
        return tokens_B, raw_log_probs(logits_BV, tokens_B, log_total_B)
    if temperature != 1:
        weights_BV = shifted_BV.mul_(1 / temperature).exp_()
    tokens_B = _draw_nucleus(weights_BV, uniforms_B, top_p) if top_p < 1 else _draw_weighted(weights_BV, uniforms_B)
    return tokens_B, raw_log_probs(logits_BV, tokens_B, log_total_B)


def _draw_weighted(weights_BV: Tensor, uniforms_B: Tensor) -> Tensor:
    """Inverse-distribution draw in two levels: a block of the vocabulary, then a token of the block.

    Sums over blocks and inside the block are float64, so that the rounding of a running sum over the whole vocabulary
    does not shift the tail. Every token of weight 0 has probability 0.
    """
    vocabulary = weights_BV.shape[1]
    whole = vocabulary // BLOCK * BLOCK
    blocks_BN = weights_BV[:, :whole].unflatten(1, (-1, BLOCK)).sum(dim=-1)
    if whole < vocabulary:
        blocks_BN = torch.cat([blocks_BN, weights_BV[:, whole:].sum(dim=-1, keepdim=True)], dim=1)
    block_B, rest_B = _pick(blocks_BN, uniforms_B)
    places = block_B[:, None] * BLOCK + torch.arange(BLOCK, device=weights_BV.device)
    inside = weights_BV.gather(1, places.clamp(max=vocabulary - 1)) * (places < vocabulary)
    offset_B, _ = _pick(inside, rest_B)
    return (block_B * BLOCK + offset_B).clamp_(max=vocabulary - 1)


def _pick(weights_BN: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
    """The index whose share of the running sum holds `uniforms_B`, and where inside that share it lies, in [0, 1)."""
    sums_BN = weights_BN.double().cumsum(dim=-1)
    aim_B1 = (uniforms_B * sums_BN[:, -1])[:, None]
    # Rounding may lift the aim to the total itself, which no index would hold.
    aim_B1 = torch.minimum(aim_B1, torch.nextafter(sums_BN[:, -1:], torch.zeros_like(aim_B1)))
    index_B1 = torch.searchsorted(sums_BN, aim_B1, right=True).clamp_(max=weights_BN.shape[1] - 1)  # NaN has no place
    weight_B1 = weights_BN.double().gather(1, index_B1)
    inside_B1 = (aim_B1 - (sums_BN.gather(1, index_B1) - weight_B1)) / weight_B1
    return index_B1[:, 0], inside_B1[:, 0].clamp(0.0, 1.0 - 1e-12)


def _draw_nucleus(weights_BV: Tensor, uniforms_B: Tensor, top_p: float) -> Tensor:
    """A draw from the smallest set of likely tokens that holds `top_p`.

    Sorts only as many of the likeliest tokens as the widest set needs: 128 first, then eight times as many, and so on.
    """
    needed_B = weights_BV.sum(dim=-1, dtype=torch.float64) * top_p
    count = min(NUCLEUS_GUESS, weights_BV.shape[1])
    while True:
        best = torch.topk(weights_BV, count, dim=-1)
        sums_BN = best.values.double().cumsum(dim=-1)
        if count == weights_BV.shape[1] or bool((sums_BN[:, -1] >= needed_B).all()):
            break
        count = min(count * 8, weights_BV.shape[1])
    before_BN = sums_BN - best.values.double()
    kept_BN = torch.where(before_BN < needed_B[:, None], best.values, 0.0)
    index_B, _ = _pick(kept_BN, uniforms_B)
    return best.indices.gather(1, index_B[:, None])[:, 0]
