"""The decoding loop: many completions of one prompt.

Axes: G rows drawn in all, B rows still unfinished, P prompt tokens, S completion tokens so far, V vocabulary,
K key/value heads, H query heads, D head size.

The prompt is computed once, with batch size 1. Its keys and values stay in one copy that all rows attend to, and each
row has keys and values of its own for what it has drawn (`SharedPrefixLayer`). A finished row leaves the batch, so
that a step costs only what the unfinished rows need. Model families whose attention is not plain causal attention
(sliding windows, recurrent layers, capped scores) are served by the library's own cache, repeated for every row.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from assay.core.errors import PolicyError
from assay.core.records import Scored, StopReason
from assay.policies.drawing import draw_tokens, raw_log_probs
from assay.policies.text import Detokenizer

ATTENTION_NAME = "assay_shared_prefix"
SHARED_PREFIX_FAMILIES = frozenset({"llama", "qwen2", "qwen3"})
FIRST_CAPACITY = 64
SCORE_CHUNK = 128


@dataclass(frozen=True)
class Prefill:
    """A prompt that was computed: its keys and values (batch 1), and the logits of the token after it, (V,)."""

    tokens: tuple[int, ...]
    cache: DynamicCache
    next_logits_V: Tensor


@dataclass
class Row:
    """What one completion has drawn so far."""

    detokenizer: Detokenizer
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    stop_reason: StopReason | None = None


@dataclass(frozen=True)
class DrawSettings:
    """How rows are drawn and when they end. `end_tokens` are the model's own end marks."""

    temperature: float
    top_p: float
    max_tokens: int
    end_tokens: frozenset[int]
    stop: tuple[str, ...]


def install_shared_prefix(model: PreTrainedModel) -> bool:
    """Makes `model` attend through `shared_prefix_attention` if its family allows it; says whether it does."""
    config = model.config.get_text_config(decoder=True)
    plain = all(type(layer) is DynamicLayer for layer in empty_cache(model).layers)
    if config.model_type not in SHARED_PREFIX_FAMILIES or not plain:
        return False
    AttentionInterface.register(ATTENTION_NAME, shared_prefix_attention)
    AttentionMaskInterface.register(ATTENTION_NAME, sdpa_mask)
    model.set_attn_implementation(ATTENTION_NAME)
    return True


def empty_cache(model: PreTrainedModel) -> DynamicCache:
    """For keys and values of every layer of `model`, as its family keeps them."""
    return DynamicCache(config=model.config.get_text_config(decoder=True))


def prefill(model: PreTrainedModel, tokens: tuple[int, ...]) -> Prefill:
    """Computes the prompt once; the vocabulary projection is applied to its last token only."""
    cache = empty_cache(model)
    ids = torch.tensor([tokens], device=model.device)
    output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prefill(tokens, cache, output.logits[0, -1].float())


def generate(
    model: PreTrainedModel,
    start: Prefill,
    rows: list[Row],
    uniforms_GT: Tensor,
    settings: DrawSettings,
    check_cancelled: Callable[[], None],
) -> None:
    """Draws tokens into `rows` until each has a stop reason.

    uniforms_GT: float64 in [0, 1), one number a row and step; a row depends on its own numbers only, whichever other
    rows there are and whenever they finish.
    """
    decoder = _decoder(model, start, len(rows))
    alive = list(range(len(rows)))
    logits_BV = start.next_logits_V.expand(len(rows), -1)
    for step in range(settings.max_tokens):
        check_cancelled()
        uniforms_B = uniforms_GT[alive, step]
        tokens_B, logprobs_B = draw_tokens(logits_BV, uniforms_B, settings.temperature, settings.top_p)
        for index, token, logprob in zip(alive, tokens_B.tolist(), logprobs_B.tolist(), strict=True):
            _advance(rows[index], token, logprob, settings)
        kept = [place for place, index in enumerate(alive) if rows[index].stop_reason is None]
        if not kept:
            return
        if len(kept) < len(alive):
            alive = [alive[place] for place in kept]
            kept_B = torch.tensor(kept)  # on the host, since a model's layers may lie on several devices
            tokens_B = tokens_B[kept_B]
            decoder.keep(kept_B)
        logits_BV = decoder.step(tokens_B)


def require_numbers(logprobs: Sequence[float]) -> None:
    """Raises `PolicyError` if a log-probability is no number, since then the model's logits are none either."""
    if any(map(math.isnan, logprobs)):
        raise PolicyError(
            "the model's logits are not finite: its weights have diverged. Lower --learning-rate, or begin from an "
            "earlier step (--start RUN:STEP)"
        )


def _advance(row: Row, token: int, logprob: float, settings: DrawSettings) -> None:
    require_numbers([logprob])
    row.tokens.append(token)
    row.logprobs.append(logprob)
    if token in settings.end_tokens or row.detokenizer.push(token):
        row.stop_reason = StopReason.STOP
    elif len(row.tokens) == settings.max_tokens:
        row.stop_reason = StopReason.LENGTH


def score_tokens(
    model: PreTrainedModel, start: Prefill, tokens: tuple[int, ...], topk: int, check_cancelled: Callable[[], None]
) -> Scored:
    """Raw log-probabilities of `tokens` (length T >= 1) after the prompt, and the `topk` likeliest at each place.

    Computed `SCORE_CHUNK` tokens at a time, so that memory stays at chunk times V for any T.
    """

    def logits() -> Iterator[Tensor]:
        cache, next_logits_1V = grown_copy(start.cache), start.next_logits_V[None]
        for first in range(0, len(tokens), SCORE_CHUNK):
            check_cancelled()
            ids = torch.tensor([tokens[first : first + SCORE_CHUNK]], device=model.device)
            output = model(input_ids=ids, past_key_values=cache, use_cache=True)
            logits_TV = torch.cat([next_logits_1V, output.logits[0].float()])
            next_logits_1V = logits_TV[-1:]
            yield logits_TV[:-1]

    return scored(tokens, logits(), topk)


def scored(tokens: tuple[int, ...], logits: Iterable[Tensor], topk: int) -> Scored:
    """What `logits` say of `tokens`: float32 (t, V), for one stretch of the tokens after another."""
    logprobs: list[float] = []
    best: list[tuple[tuple[int, float], ...]] = []
    for logits_TV in logits:
        chunk = torch.tensor(tokens[len(logprobs) : len(logprobs) + len(logits_TV)], device=logits_TV.device)
        log_total_T = torch.logsumexp(logits_TV, dim=-1)
        logprobs += raw_log_probs(logits_TV, chunk, log_total_T).tolist()
        if topk > 0:
            top = torch.topk(logits_TV, topk, dim=-1)
            values = (top.values - log_total_T[:, None]).tolist()
            pairs = zip(top.indices.tolist(), values, strict=True)
            best += [tuple(zip(ids_k, values_k, strict=True)) for ids_k, values_k in pairs]
    require_numbers(logprobs)
    return Scored(tokens=tokens, logprobs=tuple(logprobs), topk=tuple(best))


def grown_copy(cache: DynamicCache, rows: int = 1) -> DynamicCache:
    """A cache for `rows` rows that can grow while `cache` stays as it is: layers append by making new tensors."""
    grown = copy.copy(cache)
    grown.layers = [copy.copy(layer) for layer in cache.layers]
    if rows > 1:
        grown.batch_repeat_interleave(rows)
    return grown


# -- one step of the unfinished rows ----------------------------------------------------------------------------


class _RepeatedPrompt:
    """The library's own cache with the prompt repeated for each row: right for every family, and slower."""

    def __init__(self, model: PreTrainedModel, start: Prefill, rows: int) -> None:
        self._model = model
        self._cache = grown_copy(start.cache, rows)
        self._position = len(start.tokens)

    def keep(self, kept_B: Tensor) -> None:
        self._cache.batch_select_indices(kept_B)

    def step(self, tokens_B: Tensor) -> Tensor:
        positions = torch.full((len(tokens_B), 1), self._position, device=tokens_B.device)
        self._position += 1
        output = self._model(
            input_ids=tokens_B[:, None], past_key_values=self._cache, position_ids=positions, use_cache=True
        )
        return output.logits[:, -1].float()


class _SharedPrompt:
    """One copy of the prompt's keys and values, and a suffix for each row."""

    def __init__(self, model: PreTrainedModel, start: Prefill, rows: int) -> None:
        self._model = model
        self._layers = [SharedPrefixLayer(layer, rows) for layer in start.cache.layers]
        self._cache = Cache(layers=list(self._layers))
        self._position = len(start.tokens)

    def keep(self, kept_B: Tensor) -> None:
        for layer in self._layers:
            layer.keep(kept_B)

    def step(self, tokens_B: Tensor) -> Tensor:
        positions = torch.full((len(tokens_B), 1), self._position, device=tokens_B.device)
        self._position += 1
        output = self._model(
            input_ids=tokens_B[:, None],
            past_key_values=self._cache,
            position_ids=positions,
            use_cache=True,
            shared_prefix=self._layers,
        )
        return output.logits[:, -1].float()


def _decoder(model: PreTrainedModel, start: Prefill, rows: int) -> _RepeatedPrompt | _SharedPrompt:
    shares = model.config._attn_implementation == ATTENTION_NAME
    return (_SharedPrompt if shares else _RepeatedPrompt)(model, start, rows)


class SharedPrefixLayer(CacheLayerMixin):
    """Keys and values of one layer.

    prefix_keys_KDP, prefix_values_KPD: the prompt, once. keys, values: (B, K, capacity, D), filled up to `length`.
    """

    is_sliding = False

    def __init__(self, prompt: Any, rows: int) -> None:
        super().__init__()
        self.prefix_keys_KDP = prompt.keys[0].transpose(1, 2).contiguous()
        self.prefix_values_KPD = prompt.values[0].contiguous()
        self.rows = rows
        self.length = 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Allocates room for the first tokens."""
        rows, heads, _, size = key_states.shape
        self.keys = key_states.new_empty(rows, heads, FIRST_CAPACITY, size)
        self.values = value_states.new_empty(rows, heads, FIRST_CAPACITY, value_states.shape[-1])
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Appends one token a row, and returns the suffix (B, K, S, D) without the prompt."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        if self.length == self.keys.shape[2]:
            self.keys = torch.cat([self.keys, torch.empty_like(self.keys)], dim=2)
            self.values = torch.cat([self.values, torch.empty_like(self.values)], dim=2)
        self.keys[:, :, self.length] = key_states[:, :, 0]
        self.values[:, :, self.length] = value_states[:, :, 0]
        self.length += 1
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def keep(self, kept_B: Tensor) -> None:
        """Drops all rows but `kept_B`."""
        if self.is_initialized:
            assert self.keys is not None and self.values is not None
            self.keys, self.values = self.keys[kept_B], self.values[kept_B]

    def get_seq_length(self) -> int:
        """Prompt and suffix together."""
        return self.prefix_values_KPD.shape[1] + self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Length and offset that a mask would have; the shared attention needs none."""
        return self.get_seq_length() + query_length, 0

    def get_max_length(self) -> int:
        """No limit of its own."""
        return -1


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    shared_prefix: list[SharedPrefixLayer] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token a row to the shared prompt and to the row's own suffix.

    query: (B, H, 1, D); key, value: the suffix, (B, K, S, D). Scores of both parts are joined before one softmax, so
    the result is that of plain attention over P + S positions. The prompt part is one matrix product for all rows and
    all query heads of a key head, and reads the prompt's keys once instead of B times. Without `shared_prefix`
    (prompt, scoring, training) this is the library's scaled-dot-product attention.
    """
    if shared_prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    layer: Any = shared_prefix[module.layer_idx]  # type: ignore[index]
    B, H, _, D = query.shape
    K = key.shape[1]
    group = H // K
    query_BKgD = query.view(B, K, group, D) * (D**-0.5 if scaling is None else scaling)
    query_KrD = query_BKgD.transpose(0, 1).reshape(K, B * group, D)
    prompt_KrP = torch.bmm(query_KrD, layer.prefix_keys_KDP)
    P = prompt_KrP.shape[-1]
    suffix_BKgS = query_BKgD @ key.transpose(2, 3)
    prompt_BKgP = prompt_KrP.view(K, B, group, P).transpose(0, 1)
    weights = torch.softmax(torch.cat([prompt_BKgP, suffix_BKgS], dim=-1), dim=-1, dtype=torch.float32).to(value.dtype)
    prompt_KrP = weights[..., :P].transpose(0, 1).reshape(K, B * group, P)
    output_BKgD = torch.bmm(prompt_KrP, layer.prefix_values_KPD).view(K, B, group, D).transpose(0, 1)
    output_BKgD = output_BKgD + weights[..., P:] @ value
    return output_BKgD.reshape(B, 1, H, D), None
