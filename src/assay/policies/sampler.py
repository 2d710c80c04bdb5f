"""Sampling and scoring with a snapshot of a local model, on one replica of it or on several.

The rows of a draw are spread over the replicas. A row's random numbers follow from the seed, the prompt and the row's
number alone, so how many replicas there are changes no draw but by rounding.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch

from assay.core.concurrency import together
from assay.core.errors import UsageError
from assay.core.protocols import Draw
from assay.core.records import Completion, Prompt, SamplingParams, Scored, StopReason, content_hash
from assay.policies.generation import DrawSettings, Prefill, Row, generate, prefill, score_tokens
from assay.policies.text import Detokenizer, end_tokens, prompt_tokens
from assay.policies.weights import LoadedModel
from assay.policies.worker import Check, Worker

KEPT_PREFILLS = 4


class LocalSampler:
    """An immutable snapshot of a local model."""

    def __init__(self, sides: Sequence["ReplicaSampler"], identity: str, name: str) -> None:
        """`sides`: the snapshot on each replica."""
        self.name = name
        self._sides = sides
        self._identity = identity

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
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        shares = even_shares(n, len(self._sides))
        sides = self._idlest_first()[: len(shares)]
        draws = await together(side.sample(prompt, rows, params) for side, rows in zip(sides, shares, strict=True))
        return Draw(draws[0].prompt_tokens, tuple(one for draw in draws for one in draw.completions))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """Raw log-probabilities of the token ids `completion` after `prompt`, and the `topk` likeliest at each place.

        Raises `UsageError` if prompt and completion together are longer than the context.
        """
        return await self._idlest_first()[0].score(prompt, tuple(completion), topk)

    def forget(self) -> None:
        """Frees the prompts that are kept computed."""
        for side in self._sides:
            side.forget()

    def _idlest_first(self) -> list["ReplicaSampler"]:
        return sorted(self._sides, key=lambda side: side.in_hand)


class ReplicaSampler:
    """A snapshot on one replica."""

    def __init__(
        self, loaded: LoadedModel, worker: Worker, activate: Callable[[], AbstractContextManager[None]]
    ) -> None:
        """`activate` puts the snapshot's weights into the replica for as long as its context lasts."""
        self._loaded = loaded
        self._worker = worker
        self._activate = activate
        self._prefills: OrderedDict[tuple[int, ...], Prefill] = OrderedDict()
        self._end_tokens = end_tokens(loaded.tokenizer, loaded.model.config, loaded.model.generation_config)

    @property
    def in_hand(self) -> int:
        """How many computations run or wait on the replica."""
        return self._worker.in_hand

    async def sample(self, prompt: Prompt, rows: range, params: SamplingParams) -> Draw:
        """Rows `rows` of a draw."""
        return await self._worker.run(lambda check: self._sample(prompt, rows, params, check))

    async def score(self, prompt: Prompt, completion: tuple[int, ...], topk: int) -> Scored:
        """See `LocalSampler.score`."""
        return await self._worker.run(lambda check: self._score(prompt, completion, topk, check))

    def forget(self) -> None:
        """Frees the prompts that are kept computed."""
        self._prefills.clear()

    def _sample(self, prompt: Prompt, numbers: range, params: SamplingParams, check: Check) -> Draw:
        tokens = prompt_tokens(self._loaded.tokenizer, prompt)
        room = self._room(prompt, len(tokens))
        settings = DrawSettings(
            temperature=params.temperature,
            top_p=params.top_p,
            max_tokens=min(params.max_tokens, room),
            end_tokens=self._end_tokens,
            stop=prompt.stop,
        )
        rows = [Row(Detokenizer(self._loaded.tokenizer, tokens, prompt.stop)) for _ in numbers]
        uniforms = _uniforms(numbers, settings.max_tokens, params.seed, prompt).to(self._loaded.model.device)
        with self._activate():
            start, decoder = self._prefill(tokens), self._loaded.decoder
            if decoder is None:
                generate(self._loaded.model, start, rows, uniforms, settings, check)
            else:
                decoder.generate(start, rows, uniforms, settings, check)
        return Draw(len(tokens), tuple(_completion(row) for row in rows))

    def _score(self, prompt: Prompt, completion: tuple[int, ...], topk: int, check: Check) -> Scored:
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
            if decoder := self._loaded.decoder:
                scored = decoder.score(tokens, completion, topk)
            else:
                scored = score_tokens(self._loaded.model, self._prefill(tokens), completion, topk, check)
        return scored.model_copy(update={"prompt_tokens": len(tokens)})

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
        decoder = self._loaded.decoder
        self._prefills[tokens] = decoder.prefill(tokens) if decoder else prefill(self._loaded.model, tokens)
        if len(self._prefills) > KEPT_PREFILLS:
            self._prefills.popitem(last=False)
        return self._prefills[tokens]


def context_tokens(loaded: LoadedModel) -> int:
    """The number of positions the model was made for."""
    return loaded.model.config.get_text_config(decoder=True).max_position_embeddings


def even_shares(n: int, parts: int) -> list[range]:
    """0 .. n-1 in at most `parts` runs of nearly equal length, none empty."""
    parts = min(n, parts)
    return [range(n * part // parts, n * (part + 1) // parts) for part in range(parts)]


def _uniforms(rows: range, steps: int, seed: int, prompt: Prompt) -> torch.Tensor:
    """float64 in [0, 1), (rows, steps); each row has a generator of its own, so that it depends on no other row."""
    drawn = []
    for row in rows:
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
