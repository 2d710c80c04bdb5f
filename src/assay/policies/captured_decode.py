"""The decoding loop on a GPU: steps captured in CUDA graphs, and a host that never holds them up.

Axes: G rows drawn in all, R row places of the buffers, B row places in use, P prompt places, S suffix places,
T steps, V vocabulary, K key/value heads, D head size.

A step is hundreds of small kernels, whose launches from Python take ten times as long as they run. So a step is
captured once for each size of the batch and replayed. Its buffers never move: a size is a view of their beginning. The
host queues a block of steps, and only then looks at the tokens of the block before, so that detokenising and the search
for stop strings run beside the GPU. A row that ended draws on until its block is over, and what it drew is dropped.
When at most half of the places hold unfinished rows, those move to the front and a smaller size takes over.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from assay.core.records import Scored, StopReason
from assay.policies.drawing import draw_tokens
from assay.policies.fused_step import FusedModel, StepCache
from assay.policies.generation import (
    SCORE_CHUNK,
    DrawSettings,
    Prefill,
    Row,
    empty_cache,
    require_numbers,
    scored,
)

BLOCK_STEPS = 8
SMALLEST_PROMPT = 128
SMALLEST_SUFFIX = 64
MOST_GRAPHS = 64


@dataclass(frozen=True)
class _Size:
    """What a graph is captured for. `rank` of the adapter is 0 for the base model."""

    rows: int
    prompt: int
    suffix: int
    rank: int
    temperature: float
    top_p: float


@dataclass(frozen=True)
class _Captured:
    """A step that can be replayed. `logits_BV` is there where the draw itself cannot be captured."""

    graph: torch.cuda.CUDAGraph
    logits_BV: Tensor | None


@dataclass(frozen=True)
class _Block:
    """Steps that were queued: which row each place held, and the tokens on their way to the host."""

    rows: tuple[int, ...]
    tokens_TB: Tensor
    logprobs_TB: Tensor
    arrived: torch.cuda.Event | None


class CapturedDecoder:
    """Draws from `model`, one call at a time. With `capture` off every step is launched anew, on any device."""

    def __init__(self, model: PreTrainedModel, capture: bool) -> None:
        self._model = model
        self._fused = FusedModel(model)
        self._buffers: _Buffers | None = None
        self._graphs: dict[_Size, _Captured] = {}
        self._stream = torch.cuda.Stream(self._fused.device) if capture else None
        self._pool = torch.cuda.graph_pool_handle() if capture else None

    def prefill(self, tokens: tuple[int, ...]) -> Prefill:
        """The prompt, with the adapter that is active in the model."""
        cache = empty_cache(self._model)
        hidden_PE = self._fused.read(tokens, self._fused.load_adapter(), cache)
        return Prefill(tokens, cache, self._fused.logits(hidden_PE[-1:])[0].float())

    def score(self, prompt: tuple[int, ...], tokens: tuple[int, ...], topk: int) -> Scored:
        """As `generation.score_tokens`, in one pass over prompt and completion: on a GPU launches are what costs."""
        hidden_NE = self._fused.read((*prompt, *tokens[:-1]), self._fused.load_adapter())
        chunks = hidden_NE[len(prompt) - 1 :].split(SCORE_CHUNK)
        return scored(tokens, (self._fused.logits(chunk).float() for chunk in chunks), topk)

    def generate(
        self,
        start: Prefill,
        rows: list[Row],
        uniforms_GT: Tensor,
        settings: DrawSettings,
        check_cancelled: Callable[[], None],
    ) -> None:
        """Draws tokens into `rows` until each has a stop reason, with the adapter that is active in the model.

        uniforms_GT: float64 in [0, 1), one number a row and step; a row depends on its own numbers only.
        """
        places, used = list(range(len(rows))), _bucket(len(rows), 1)
        buffers = self._buffers_for(used, len(start.tokens), settings.max_tokens)
        buffers.load(start, uniforms_GT, used)
        rank = self._fused.load_adapter()
        _draw(buffers, start.next_logits_V.expand(used, -1), settings.temperature, settings.top_p)
        _take(rows, buffers.block(places, used, 0, 1), settings)
        drawn = 1
        queued: deque[_Block] = deque()
        while alive := [place for place, row in enumerate(places) if rows[row].stop_reason is None]:
            check_cancelled()
            smaller = _bucket(len(alive), 1)
            if smaller <= used // 2:
                buffers.keep(alive, used, smaller, drawn - 1)
                places, used = [places[place] for place in alive], smaller
            steps = min(BLOCK_STEPS, settings.max_tokens - drawn)
            if steps:
                prompt, suffix = _bucket(len(start.tokens), SMALLEST_PROMPT), _bucket(drawn + steps, SMALLEST_SUFFIX)
                self._run(buffers, _Size(used, prompt, suffix, rank, settings.temperature, settings.top_p), steps)
                queued.append(buffers.block(places, used, drawn, steps))
                drawn += steps
            if len(queued) > 1 or not steps:
                _take(rows, queued.popleft(), settings)

    def _buffers_for(self, rows: int, prompt: int, suffix: int) -> "_Buffers":
        """Buffers of at least these sizes; larger ones than before make all graphs useless."""
        prompt, suffix = _bucket(prompt, SMALLEST_PROMPT), _bucket(suffix, SMALLEST_SUFFIX)
        now = self._buffers
        if now is None or rows > now.rows or prompt > now.prompt_places or suffix > now.suffix_places:
            if now is not None:
                rows, prompt = max(rows, now.rows), max(prompt, now.prompt_places)
                suffix = max(suffix, now.suffix_places)
            self._forget_graphs()
            self._buffers = now = None  # frees the memory before more is asked for
            self._buffers = now = _Buffers(self._fused, rows, prompt, suffix)
        return now

    def _run(self, buffers: "_Buffers", size: _Size, steps: int) -> None:
        """Queues `steps` steps. The first step of a new size is launched as it is, which is also its warm-up."""
        if self._stream is None:
            for _ in range(steps):
                self._step_and_draw(buffers, size)
            return
        if size not in self._graphs:
            self._capture(buffers, size, self._stream)
            steps -= 1
        captured = self._graphs[size]
        for _ in range(steps):
            captured.graph.replay()
            if captured.logits_BV is not None:
                _draw(buffers, captured.logits_BV, size.temperature, size.top_p)

    def _capture(self, buffers: "_Buffers", size: _Size, stream: torch.cuda.Stream) -> None:
        if len(self._graphs) >= MOST_GRAPHS:
            torch.cuda.synchronize(self._fused.device)
            self._forget_graphs()
        current = torch.cuda.current_stream(self._fused.device)
        stream.wait_stream(current)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):
            self._step_and_draw(buffers, size)
            # Other threads may use their devices meanwhile, which a global capture would forbid.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            logits_BV = self._step(buffers, size)
            if size.top_p == 1:
                _draw(buffers, logits_BV, size.temperature, size.top_p)
            graph.capture_end()
        current.wait_stream(stream)
        self._graphs[size] = _Captured(graph, None if size.top_p == 1 else logits_BV)

    def _step_and_draw(self, buffers: "_Buffers", size: _Size) -> None:
        _draw(buffers, self._step(buffers, size), size.temperature, size.top_p)

    def _step(self, buffers: "_Buffers", size: _Size) -> Tensor:
        """Logits of the next token of each place, (B, V); `length_1` then is that token's number."""
        cache = buffers.cache(size.rows, size.prompt, size.suffix)
        logits_BV = self._fused.step(buffers.tokens_R[: size.rows], cache, size.rank)
        buffers.length_1.add_(1)
        return logits_BV

    def _forget_graphs(self) -> None:
        self._graphs.clear()
        if self._stream is not None:
            self._pool = torch.cuda.graph_pool_handle()


class _Buffers:
    """Everything that a step reads or writes, at fixed addresses.

    tokens_R: the token drawn last; drawn_SR, logprobs_SR: all that were drawn; uniforms_SR: the random numbers;
    length_1: the number of the token to draw, which is also how many suffix places are filled.
    """

    def __init__(self, fused: FusedModel, rows: int, prompt_places: int, suffix_places: int) -> None:
        self.rows, self.prompt_places, self.suffix_places = rows, prompt_places, suffix_places
        self._shape = (2, fused.heads)
        self._head_size = fused.head_size
        K, D, device = fused.heads, fused.head_size, fused.device
        with torch.inference_mode(mode=False), torch.no_grad():
            layers = range(len(fused.layers))
            self._prompt = [torch.zeros(2, K, prompt_places, D, dtype=fused.dtype, device=device) for _ in layers]
            # Flat, since the rows in use lie side by side: a matrix product over (K, B) needs one stride for both.
            size = 2 * K * rows * suffix_places * D
            self._suffix = [torch.zeros(size, dtype=fused.dtype, device=device) for _ in layers]
            self.tokens_R = torch.zeros(rows, dtype=torch.int64, device=device)
            self._uniforms_SR = torch.zeros(suffix_places, rows, dtype=torch.float64, device=device)
            self._drawn_SR = torch.zeros(suffix_places, rows, dtype=torch.int64, device=device)
            self._logprobs_SR = torch.zeros(suffix_places, rows, dtype=torch.float32, device=device)
            self.length_1 = torch.zeros(1, dtype=torch.int64, device=device)
            self._prompt_length_1 = torch.zeros(1, dtype=torch.int64, device=device)
            self._cos_CD, self._sin_CD = fused.rotation(prompt_places + suffix_places)

    def load(self, start: Prefill, uniforms_GT: Tensor, used: int) -> None:
        """A new draw: the prompt, and the random numbers; places beyond the rows repeat the first row."""
        length = len(start.tokens)
        layers: list[Any] = start.cache.layers
        for prompt, layer in zip(self._prompt, layers, strict=True):
            prompt[0, :, :length] = layer.keys[0]
            prompt[1, :, :length] = layer.values[0]
        steps = uniforms_GT.shape[1]
        self._uniforms_SR[:steps, :used] = uniforms_GT[0, :, None]
        self._uniforms_SR[:steps, : len(uniforms_GT)] = uniforms_GT.T
        self._prompt_length_1.fill_(length)
        self.length_1.zero_()

    def cache(self, rows: int, prompt: int, suffix: int) -> StepCache:
        """The views that a step of this size works on."""
        return StepCache(
            prompt=[layer[:, :, :prompt] for layer in self._prompt],
            suffix=[layer[:, :, :, :suffix] for layer in self._layers(rows)],
            prompt_length_1=self._prompt_length_1,
            length_1=self.length_1,
            cos_CD=self._cos_CD,
            sin_CD=self._sin_CD,
        )

    def uniforms(self, rows: int) -> Tensor:
        """The random numbers of the token to draw, (B,)."""
        return self._uniforms_SR[:, :rows].index_select(0, self.length_1)[0]

    def record(self, tokens_B: Tensor, logprobs_B: Tensor) -> None:
        """Notes the token drawn in each place."""
        rows = len(tokens_B)
        self.tokens_R[:rows].copy_(tokens_B)
        self._drawn_SR[:, :rows].index_copy_(0, self.length_1, tokens_B[None])
        self._logprobs_SR[:, :rows].index_copy_(0, self.length_1, logprobs_B[None])

    def block(self, places: Sequence[int], used: int, first: int, steps: int) -> _Block:
        """Sends tokens `first` .. `first + steps - 1` to the host, without waiting for them."""
        drawn, logprobs = self._drawn_SR[first : first + steps, :used], self._logprobs_SR[first : first + steps, :used]
        if not drawn.is_cuda:
            return _Block(tuple(places), drawn.clone(), logprobs.clone(), None)
        tokens_TB = torch.empty(drawn.shape, dtype=drawn.dtype, pin_memory=True)
        logprobs_TB = torch.empty(logprobs.shape, dtype=logprobs.dtype, pin_memory=True)
        tokens_TB.copy_(drawn.contiguous(), non_blocking=True)
        logprobs_TB.copy_(logprobs.contiguous(), non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record(torch.cuda.current_stream(drawn.device))
        return _Block(tuple(places), tokens_TB, logprobs_TB, arrived)

    def keep(self, kept: Sequence[int], used: int, smaller: int, filled: int) -> None:
        """Moves the places `kept` of `used` to the front of `smaller`; `filled` suffix places hold something."""
        order = torch.tensor([*kept, *[kept[0]] * (smaller - len(kept))], device=self.tokens_R.device)
        for old, new in zip(self._layers(used), self._layers(smaller), strict=True):
            new[:, :, :, :filled] = old[:, :, :, :filled].index_select(2, order)
        self.tokens_R[:smaller] = self.tokens_R.index_select(0, order)
        self._uniforms_SR[:, :smaller] = self._uniforms_SR.index_select(1, order)

    def _layers(self, rows: int) -> list[Tensor]:
        """For each layer keys and values of `rows` rows, (2, K, B, S, D)."""
        shape = (*self._shape, rows, self.suffix_places, self._head_size)
        return [flat[: torch.Size(shape).numel()].view(shape) for flat in self._suffix]


def _draw(buffers: _Buffers, logits_BV: Tensor, temperature: float, top_p: float) -> None:
    uniforms_B = buffers.uniforms(len(logits_BV))
    buffers.record(*draw_tokens(logits_BV, uniforms_B, temperature, top_p))


def _take(rows: list[Row], block: _Block, settings: DrawSettings) -> None:
    """Waits for a block, and gives its tokens to the rows that are unfinished."""
    if block.arrived is not None:
        block.arrived.synchronize()
    tokens_BT, logprobs_BT = block.tokens_TB.T.tolist(), block.logprobs_TB.T.tolist()
    for place, index in enumerate(block.rows):
        if rows[index].stop_reason is None:
            _advance(rows[index], tokens_BT[place], logprobs_BT[place], settings)


def _advance(row: Row, tokens: list[int], logprobs: list[float], settings: DrawSettings) -> None:
    """Adds tokens up to the one that ends the row, if one does."""
    end = next((place for place, token in enumerate(tokens) if token in settings.end_tokens), None)
    stop = row.detokenizer.push_all(tokens[:end])
    ends = [place for place in (end, stop) if place is not None]
    taken = len(tokens) if not ends else min(ends) + 1
    require_numbers(logprobs[:taken])
    row.tokens += tokens[:taken]
    row.logprobs += logprobs[:taken]
    if ends:
        row.stop_reason = StopReason.STOP
    elif len(row.tokens) == settings.max_tokens:
        row.stop_reason = StopReason.LENGTH


def _bucket(count: int, smallest: int) -> int:
    """The smallest of 1, 2, 4, 8, 16, 24, 32, 48, 64, 96 ... that is at least `count` and `smallest`."""
    count = max(count, smallest)
    power = 1 << (count - 1).bit_length()
    return power * 3 // 4 if power >= 32 and count <= power * 3 // 4 else power
