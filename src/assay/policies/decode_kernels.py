# pyright: reportMissingImports=false, reportIndexIssue=false
"""Kernels of a decoding step on a GPU, in Triton: what takes a dozen small launches a layer otherwise takes one.

Axes: B rows, H query heads, K key/value heads, g = H / K, D head size, P prompt places, S suffix places, F width of the
MLP, V vocabulary, N blocks of the vocabulary. `fused_step` and `drawing` compute the same with torch's operations, for
machines without Triton; the tests hold the two against each other.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

KEYS = 64  # keys that a program looks at in one turn
BLOCK = 1024  # of the vocabulary


@triton.jit
def _normed(x, x_turned, weight, weight_turned, eps, D: tl.constexpr):
    """Root-mean-square norm over the last axis of `x` and, by the same factor, of its half-turned copy."""
    factor = 1 / tl.sqrt(tl.sum(x * x, axis=1) / D + eps)
    return x * factor[:, None] * weight[None, :], x_turned * factor[:, None] * weight_turned[None, :]


@triton.jit
def _look(q, m, total, mixed, kept, part, length, scaling, D: tl.constexpr, D_PADDED: tl.constexpr, KEYS: tl.constexpr):
    """A running softmax (Milakov and Gimelshein, 2018) goes on over `length` keys at `kept`; values lie `part` on.

    q: (G, D). m, total, mixed: the largest score so far, and sums of exp(score - m), without and with the values.
    """
    n, d = tl.arange(0, KEYS), tl.arange(0, D_PADDED)
    for start in range(0, length, KEYS):
        is_there = start + n < length
        places = (start + n)[:, None] * D + d[None, :]
        mask = is_there[:, None] & (d < D)[None, :]
        keys = tl.load(kept + places, mask=mask, other=0.0)
        values = tl.load(kept + part + places, mask=mask, other=0.0)
        scores = tl.dot(q, tl.trans(keys), input_precision="ieee") * scaling
        scores = tl.where(is_there[None, :], scores, float("-inf"))
        m_new = tl.maximum(m, tl.max(scores, axis=1))
        shrink = tl.exp(m - m_new)
        weights = tl.exp(scores - m_new[:, None])
        total = total * shrink + tl.sum(weights, axis=1)
        mixed = mixed * shrink[:, None] + tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        m = m_new
    return m, total, mixed


@triton.jit
def _attend(
    qkv,
    out,
    prompt,
    suffix,
    cos,
    sin,
    prompt_length_1,
    length_1,
    q_weight,
    k_weight,
    scaling,
    eps,
    prompt_part,
    prompt_head,
    suffix_part,
    suffix_head,
    suffix_row,
    H: tl.constexpr,
    K: tl.constexpr,
    D: tl.constexpr,
    D_PADDED: tl.constexpr,
    G_PADDED: tl.constexpr,
    NORMED: tl.constexpr,
    KEYS: tl.constexpr,
):
    """A program for each row and key head: rotates, stores the new key and value, and attends to all before it."""
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    group: tl.constexpr = H // K
    prompt_length = tl.load(prompt_length_1)
    length = tl.load(length_1)
    d = tl.arange(0, D_PADDED)
    is_d = d < D
    turned = (d + D // 2) % D
    position = prompt_length + length
    c = tl.load(cos + position * D + d, mask=is_d, other=0.0).to(tl.float32)[None, :]
    s = tl.load(sin + position * D + d, mask=is_d, other=0.0).to(tl.float32)[None, :]

    g = tl.arange(0, G_PADDED)
    is_q = (g < group)[:, None] & is_d[None, :]
    of_row = qkv + row * (H + 2 * K) * D
    of_queries = of_row + (head * group + g)[:, None] * D
    q = tl.load(of_queries + d[None, :], mask=is_q, other=0.0).to(tl.float32)
    q_turned = tl.load(of_queries + turned[None, :], mask=is_q, other=0.0).to(tl.float32)
    of_key = of_row + (H + head) * D
    k = tl.load(of_key + d, mask=is_d, other=0.0).to(tl.float32)[None, :]
    k_turned = tl.load(of_key + turned, mask=is_d, other=0.0).to(tl.float32)[None, :]
    v = tl.load(of_row + (H + K + head) * D + d, mask=is_d, other=0.0)
    if NORMED:
        w = tl.load(q_weight + d, mask=is_d, other=0.0).to(tl.float32)
        w_turned = tl.load(q_weight + turned, mask=is_d, other=0.0).to(tl.float32)
        q, q_turned = _normed(q, q_turned, w, w_turned, eps, D)
        w = tl.load(k_weight + d, mask=is_d, other=0.0).to(tl.float32)
        w_turned = tl.load(k_weight + turned, mask=is_d, other=0.0).to(tl.float32)
        k, k_turned = _normed(k, k_turned, w, w_turned, eps, D)
    q = (q * c + q_turned * s).to(v.dtype)
    k = (k * c + k_turned * s).to(v.dtype)

    own = suffix + head * suffix_head + row * suffix_row
    new = own + length * D + d[None, :]
    tl.store(new, k, mask=is_d[None, :])
    tl.store(new + suffix_part, v[None, :], mask=is_d[None, :])

    m = tl.sum(q.to(tl.float32) * k.to(tl.float32), axis=1) * scaling
    total = tl.full((G_PADDED,), 1.0, tl.float32)
    mixed = tl.zeros((G_PADDED, D_PADDED), tl.float32) + v.to(tl.float32)[None, :]
    shared = prompt + head * prompt_head
    m, total, mixed = _look(q, m, total, mixed, shared, prompt_part, prompt_length, scaling, D, D_PADDED, KEYS)
    m, total, mixed = _look(q, m, total, mixed, own, suffix_part, length, scaling, D, D_PADDED, KEYS)
    at = out + row * H * D + (head * group + g)[:, None] * D + d[None, :]
    tl.store(at, (mixed / total[:, None]).to(v.dtype), mask=is_q)


def attend(
    qkv_BO: Tensor,
    prompt: Tensor,
    suffix: Tensor,
    cos_CD: Tensor,
    sin_CD: Tensor,
    lengths: tuple[Tensor, Tensor],
    heads: tuple[int, int],
    scaling: float,
    norms: tuple[Tensor, Tensor, float] | None,
) -> Tensor:
    """Attention of one token a row to the shared prompt and its own suffix, (B, H D); stores its key and value.

    qkv_BO: projections before norm and rotation, O = (H + 2K) D. prompt (2, K, P, D); suffix (2, K, B, S, D). lengths:
    filled places of prompt and suffix, int64 on the device. heads: (H, K). norms: weights of the norms of queries and
    keys and their epsilon, where the family has them.
    """
    H, K = heads
    B, D = len(qkv_BO), prompt.shape[-1]
    out_BO = torch.empty(B, H * D, dtype=qkv_BO.dtype, device=qkv_BO.device)
    q_weight, k_weight, eps = norms or (qkv_BO, qkv_BO, 0.0)
    _attend[(B, K)](
        qkv_BO,
        out_BO,
        prompt,
        suffix,
        cos_CD,
        sin_CD,
        *lengths,
        q_weight,
        k_weight,
        scaling,
        eps,
        prompt.stride(0),
        prompt.stride(1),
        suffix.stride(0),
        suffix.stride(1),
        suffix.stride(2),
        H=H,
        K=K,
        D=D,
        D_PADDED=max(16, triton.next_power_of_2(D)),
        G_PADDED=max(16, triton.next_power_of_2(H // K)),
        NORMED=norms is not None,
        KEYS=KEYS,
    )
    return out_BO


@triton.jit
def _gate(gate_up, out, F, BLOCK: tl.constexpr):
    row, f = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_up + row * 2 * F + f, mask=f < F, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * F + F + f, mask=f < F, other=0.0).to(tl.float32)
    tl.store(out + row * F + f, (gate / (1 + tl.exp(-gate)) * up).to(out.dtype.element_ty), mask=f < F)


def gated(gate_up_BO: Tensor) -> Tensor:
    """The first half of each row through silu, times the second half, (B, F)."""
    B, F = len(gate_up_BO), gate_up_BO.shape[1] // 2
    out_BF = torch.empty(B, F, dtype=gate_up_BO.dtype, device=gate_up_BO.device)
    _gate[(B, triton.cdiv(F, 1024))](gate_up_BO, out_BF, F, BLOCK=1024)
    return out_BF


@triton.jit
def _sum_block(logits, row_stride, V, tops, sums, weighted, inverse_temperature, BLOCK: tl.constexpr):
    """Of one block of the vocabulary: the largest logit m, sum exp(x - m), and sum exp((x - m) / temperature)."""
    row, block = tl.program_id(0).to(tl.int64), tl.program_id(1)
    at = row * tl.num_programs(1) + block
    v = block * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(logits + row * row_stride + v, mask=v < V, other=float("-inf")).to(tl.float32)
    top = tl.max(x, axis=0)
    tl.store(tops + at, top)
    top = tl.where(top == float("-inf"), 0.0, top)  # a block of impossible tokens
    tl.store(sums + at, tl.sum(tl.exp(x - top), axis=0))
    tl.store(weighted + at, tl.sum(tl.exp((x - top) * inverse_temperature), axis=0))


@triton.jit
def _place(weights, uniform):
    """Where `uniform` falls in the running sum of `weights` (float64): the index, and how far inside its share.

    Never past the first index that reaches the whole sum, which has a positive weight.
    """
    sums = tl.cumsum(weights, axis=0)
    whole = tl.max(sums, axis=0)
    aim = uniform * whole
    index = tl.sum(((sums <= aim) & (sums < whole)).to(tl.int32), axis=0)
    n = tl.arange(0, weights.shape[0])
    share = tl.sum(tl.where(n == index, weights, 0.0), axis=0)
    before = tl.sum(tl.where(n == index, sums - weights, 0.0), axis=0)
    return index, tl.minimum(tl.maximum((aim - before) / share, 0.0), 1.0)


@triton.jit
def _pick(
    logits,
    row_stride,
    V,
    tops,
    sums,
    weighted,
    uniforms,
    tokens,
    logprobs,
    inverse_temperature,
    N,
    N_PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    n = tl.arange(0, N_PADDED)
    t = tl.load(tops + row * N + n, mask=n < N, other=float("-inf"))
    top = tl.max(t, axis=0)
    total = tl.sum(tl.load(sums + row * N + n, mask=n < N, other=0.0) * tl.exp(t - top), axis=0)
    weights = tl.load(weighted + row * N + n, mask=n < N, other=0.0) * tl.exp((t - top) * inverse_temperature)
    block, rest = _place(weights.to(tl.float64), tl.load(uniforms + row))
    top_of_block = tl.max(tl.where(n == block, t, float("-inf")), axis=0)
    v = block * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(logits + row * row_stride + v, mask=v < V, other=float("-inf")).to(tl.float32)
    offset, rest = _place(tl.exp((x - top_of_block) * inverse_temperature).to(tl.float64), rest)
    drawn = tl.max(tl.where(tl.arange(0, BLOCK) == offset, x, float("-inf")), axis=0)
    tl.store(tokens + row, (block * BLOCK + offset).to(tl.int64))
    tl.store(logprobs + row, drawn - top - tl.log(total))


def draw(logits_BV: Tensor, uniforms_B: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """One token a row by inverse-distribution draw in two levels, and its raw log-probability.

    logits_BV: of any type and row stride; uniforms_B: float64 in [0, 1); temperature above 0.
    """
    B, V = logits_BV.shape
    N, device = triton.cdiv(V, BLOCK), logits_BV.device
    parts = [torch.empty(B, N, dtype=torch.float32, device=device) for _ in range(3)]
    tokens_B = torch.empty(B, dtype=torch.int64, device=device)
    logprobs_B = torch.empty(B, dtype=torch.float32, device=device)
    stride = logits_BV.stride(0)
    with torch.cuda.device_of(logits_BV):  # a model that is spread over devices ends on another than the current one
        _sum_block[(B, N)](logits_BV, stride, V, *parts, 1 / temperature, BLOCK=BLOCK)
        _pick[(B,)](
            logits_BV,
            stride,
            V,
            *parts,
            uniforms_B,
            tokens_B,
            logprobs_B,
            1 / temperature,
            N,
            N_PADDED=triton.next_power_of_2(N),
            BLOCK=BLOCK,
        )
    return tokens_B, logprobs_B
