"""Sampling and scoring with a local model, one computation at a time."""

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch

from assay.core.errors import UsageError
from assay.core.protocols import Draw
from assay.core.records import Completion, Prompt, SamplingParams, Scored, StopReason, content_hash
from assay.policies.generation import DrawSettings, Prefill, Row, generate, prefill, score_tokens
from assay.policies.text import Detokenizer, end_tokens, prompt_tokens
from assay.policies.weights import LoadedModel

Result = TypeVar("Result")
KEPT_PREFILLS = 4


class LocalSampler:
    """An immutable snapshot of a local model."""

    def __init__(
        self,
        loaded: LoadedModel,
        worker: "Worker",
        identity: str,
        activate: Callable[[], AbstractContextManager[None]],
        name: str,
    ) -> None:
        """`activate` puts the snapshot's weights into the shared model for as long as its context lasts."""
        self.name = name
        self._loaded = loaded
        self._worker = worker
        self._identity = identity
        self._activate = activate
        self._prefills: OrderedDict[tuple[int, ...], Prefill] = OrderedDict()
        self._end_tokens = end_tokens(loaded.tokenizer, loaded.model.config, loaded.model.generation_config)

    @property
    def id(self) -> str:
        """A hash of the weights' content; the same on every machine."""
        return self._identity

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """`n` completions of `prompt`; see the module's docstring for what is reproducible.

        A draw divides the logits by `temperature`, then keeps the `top_p` nucleus. A completion ends with an end mark,
        with a token that completes a stop string, after `max_tokens`, or where the context is full.
        Raises `UsageError` for a prompt that leaves no room in the context.
        """
        return await self._worker.run(lambda check: self._sample(prompt, n, params, check))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """Raw log-probabilities of the token ids `completion` after `prompt`, and the `topk` likeliest at each place.

        Raises `UsageError` if prompt and completion together are longer than the context.
        """
        return await self._worker.run(lambda check: self._score(prompt, tuple(completion), topk, check))

    def forget(self) -> None:
        """Frees the prompts that are kept computed."""
        self._prefills.clear()

    def _sample(self, prompt: Prompt, n: int, params: SamplingParams, check: Callable[[], None]) -> Draw:
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        tokens = prompt_tokens(self._loaded.tokenizer, prompt)
        room = self._room(prompt, len(tokens))
        settings = DrawSettings(
            temperature=params.temperature,
            top_p=params.top_p,
            max_tokens=min(params.max_tokens, room),
            end_tokens=self._end_tokens,
            stop=prompt.stop,
        )
        rows = [Row(Detokenizer(self._loaded.tokenizer, tokens, prompt.stop)) for _ in range(n)]
        uniforms = _uniforms(n, settings.max_tokens, params.seed, prompt).to(self._loaded.model.device)
        with self._activate():
            generate(self._loaded.model, self._prefill(tokens), rows, uniforms, settings, check)
        return Draw(len(tokens), tuple(_completion(row) for row in rows))

    def _score(self, prompt: Prompt, completion: tuple[int, ...], topk: int, check: Callable[[], None]) -> Scored:
        tokens = prompt_tokens(self._loaded.tokenizer, prompt)
        room = self._room(prompt, len(tokens))
        if len(completion) > room:
            raise UsageError(
                f"{prompt.task_key}: {len(tokens)} prompt and {len(completion)} completion tokens do not fit the "
                f"context of {context_tokens(self._loaded)} tokens of {self._loaded.name}; shorten the prompt"
            )
        if not completion:
            return Scored(tokens=(), logprobs=())
        with self._activate():
            return score_tokens(self._loaded.model, self._prefill(tokens), completion, topk, check)

    def _room(self, prompt: Prompt, prompt_length: int) -> int:
        """How many tokens may follow the prompt."""
        context = context_tokens(self._loaded)
        if prompt_length >= context:
            raise UsageError(
                f"the prompt of {prompt.task_key} has {prompt_length} tokens, and the context of {self._loaded.name} "
                f"holds {context}; shorten the prompt, or use a model with a longer context"
            )
        return context - prompt_length

    def _prefill(self, tokens: tuple[int, ...]) -> Prefill:
        """The computed prompt; the last few are kept, since completions of a prompt are often scored next."""
        if tokens in self._prefills:
            self._prefills.move_to_end(tokens)
            return self._prefills[tokens]
        self._prefills[tokens] = prefill(self._loaded.model, tokens)
        if len(self._prefills) > KEPT_PREFILLS:
            self._prefills.popitem(last=False)
        return self._prefills[tokens]


def context_tokens(loaded: LoadedModel) -> int:
    """The number of positions the model was made for."""
    return loaded.model.config.get_text_config(decoder=True).max_position_embeddings


def _uniforms(rows: int, steps: int, seed: int, prompt: Prompt) -> torch.Tensor:
    """float64 in [0, 1), (rows, steps); each row has a generator of its own, so that it depends on no other row."""
    drawn = []
    for row in range(rows):
        generator = torch.Generator()
        generator.manual_seed(int(content_hash(str(seed), prompt.hash, str(row)), 16) >> 1)
        drawn.append(torch.rand(steps, generator=generator, dtype=torch.float64))
    return torch.stack(drawn)


def _completion(row: Row) -> Completion:
    assert row.stop_reason is not None
    return Completion(
        tokens=tuple(row.tokens),
        logprobs=tuple(row.logprobs),
        text=row.detokenizer.text(),
        stop_reason=StopReason(row.stop_reason),
    )


class _Cancelled(Exception):
    """Nobody waits for the computation any more."""


class Worker:
    """Runs one computation at a time off the event loop, and ends it early when its caller is cancelled."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads
        self._lock = threading.Lock()

    async def run(self, compute: Callable[[Callable[[], None]], Result], gradients: bool = False) -> Result:
        """`compute` in a thread; it gets a function to call often, which raises once the caller was cancelled."""
        cancelled = threading.Event()

        def check() -> None:
            if cancelled.is_set():
                raise _Cancelled

        def work() -> Result:
            with self._lock, self._torch_threads(), torch.inference_mode(mode=not gradients):
                check()
                return compute(check)

        try:
            return await asyncio.to_thread(work)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @contextmanager
    def _torch_threads(self) -> Iterator[None]:
        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
