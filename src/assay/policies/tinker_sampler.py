"""Sampling and scoring at a Tinker server.

Reproducibility is the server's: rows of a draw have seeds that follow one another, from a start that is a function of
(seed, prompt), so that asking for more rows leaves the first ones as they were where the server honours seeds.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import Draw
from assay.core.records import Completion, Prompt, SamplingParams, Scored, content_hash
from assay.policies.probe_logprobs import PROBE_TEMPERATURE, judge_gaps
from assay.policies.tinker_sdk import Connection
from assay.policies.tinker_text import ModelText

TOPK = 20  # asked for at the start; a server that has top-k log-probabilities gives as many
_PROBE_TOP_P = 0.9
_PROBE_ROWS, _PROBE_TOKENS = 4, 24

Lease = Callable[[], AbstractAsyncContextManager[Any]]


@dataclass
class Endpoint:
    """A model at a server, as all its samplers share it. is_raw: what the probe found; None before it was asked."""

    connection: Connection
    text: ModelText
    topk: int
    is_raw: bool | None = None

    @property
    def spec(self) -> str:
        """For messages."""
        return self.connection.address.spec

    def ints(self, ids: Sequence[int]) -> Any:
        """Token ids as the SDK takes them."""
        return self.connection.sdk.types.ModelInput.from_ints(list(ids))

    def params(self, **values: Any) -> Any:
        """Sampling parameters as the SDK takes them."""
        return self.connection.sdk.types.SamplingParams(**values)


class TinkerSampler:
    """Weights at a server that do not change."""

    def __init__(self, endpoint: Endpoint, identity: str, lease: Lease) -> None:
        """`lease` gives the SDK's sampling client of these weights for as long as its context lasts."""
        self._endpoint, self._identity, self._lease = endpoint, identity, lease

    @property
    def id(self) -> str:
        """A hash of the model, the adapter's shape and every update made: equal updates, equal id."""
        return self._identity

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """`n` completions in one request, with raw log-probabilities; scored again where the server's are tempered.

        Raises `UsageError` for a prompt that leaves no room in the context, `PolicyError` if the server fails.
        """
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        ids = self._endpoint.text.prompt(prompt)
        wanted = self._endpoint.params(
            max_tokens=self._room(prompt, len(ids), params.max_tokens),
            temperature=params.temperature,
            top_p=params.top_p,
            seed=int(content_hash(str(params.seed), prompt.hash), 16) & 0x3FFFFFFF,
            stop=self._endpoint.text.stop(prompt),
        )
        async with self._lease() as client:
            answer = await self._answer(client.sample(self._endpoint.ints(ids), n, wanted), "sampling")
            needs_raw = (params.temperature, params.top_p) != (1.0, 1.0)
            rescore = needs_raw and not await self._is_raw(client, ids)
            drawn = [self._completion(prompt, ids, sequence) for sequence in answer.sequences]
            if rescore or any(one.logprobs is None for one in answer.sequences):
                drawn = await asyncio.gather(*(self._rescored(client, ids, one) for one in drawn))
        return Draw(len(ids), tuple(drawn))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """Raw log-probabilities of the token ids `completion` after `prompt`, and the `topk` likeliest at each place.

        Raises `UsageError` for more than the server gives, or what does not fit its context.
        """
        if topk > self._endpoint.topk:
            raise UsageError(
                f"{self._endpoint.spec} gives {self._endpoint.topk or 'no'} top-k log-probabilities, not {topk}"
            )
        tokens = tuple(completion)
        ids = self._endpoint.text.prompt(prompt)
        self._room(prompt, len(ids), len(tokens), is_exact=True)
        if not tokens:
            return Scored(tokens=(), logprobs=())
        async with self._lease() as client:
            if topk == 0:
                return Scored(tokens=tokens, logprobs=await self._logprobs(client, ids, tokens))
            answer = await self._answer(
                client.sample(
                    self._endpoint.ints((*ids, *tokens)),
                    1,
                    self._endpoint.params(max_tokens=1),
                    include_prompt_logprobs=True,
                    topk_prompt_logprobs=topk,
                ),
                "scoring",
            )
        return Scored(
            tokens=tokens,
            logprobs=self._last(answer.prompt_logprobs, len(tokens)),
            topk=tuple(tuple(place) for place in self._last(answer.topk_prompt_logprobs, len(tokens))),
        )

    async def _is_raw(self, client: Any, ids: tuple[int, ...]) -> bool:
        """Whether drawn log-probabilities are those of temperature 1 and the full vocabulary; asked once a server."""
        if self._endpoint.is_raw is None:
            params = {"temperature": PROBE_TEMPERATURE, "top_p": _PROBE_TOP_P, "max_tokens": _PROBE_TOKENS, "seed": 0}
            wanted = self._endpoint.params(**params)
            answer = await self._answer(
                client.sample(self._endpoint.ints(ids), _PROBE_ROWS, wanted), "asking for log-probabilities"
            )
            rows = [one for one in answer.sequences if one.logprobs is not None and one.tokens]
            scored = await asyncio.gather(*(self._logprobs(client, ids, tuple(one.tokens)) for one in rows))
            reported = [value for one in rows for value in one.logprobs]
            report = judge_gaps(reported, [value for one in scored for value in one], "rescored")
            self._endpoint.is_raw = report.verdict == "raw"
        return self._endpoint.is_raw

    def _completion(self, prompt: Prompt, ids: tuple[int, ...], sequence: Any) -> Completion:
        logprobs = sequence.logprobs if sequence.logprobs is not None else [0.0] * len(sequence.tokens)
        stopped = sequence.stop_reason == "stop"
        return self._endpoint.text.completion(prompt, ids, sequence.tokens, logprobs, stopped)

    async def _rescored(self, client: Any, ids: tuple[int, ...], completion: Completion) -> Completion:
        if not completion.tokens:
            return completion
        return completion.model_copy(update={"logprobs": await self._logprobs(client, ids, completion.tokens)})

    async def _logprobs(self, client: Any, ids: tuple[int, ...], tokens: tuple[int, ...]) -> tuple[float, ...]:
        values = await self._answer(client.compute_logprobs(self._endpoint.ints((*ids, *tokens))), "scoring")
        return self._last(values, len(tokens))

    def _last(self, values: Sequence[Any] | None, count: int) -> tuple[Any, ...]:
        """Those of the completion. Some servers leave out the first token's, which has none, so the end is counted."""
        kept = tuple(values or ())[-count:]
        if len(kept) != count or any(value is None for value in kept):
            raise PolicyError(f"{self._endpoint.spec} gave log-probabilities for only some of {count} tokens")
        return kept

    def _room(self, prompt: Prompt, used: int, wanted: int, is_exact: bool = False) -> int:
        """How many of `wanted` tokens may follow a prompt of `used`; UsageError where none, or not all, can."""
        context = self._endpoint.connection.context_tokens
        if context is None:
            return wanted
        if used >= context or (is_exact and used + wanted > context):
            raise UsageError(
                f"the prompt of {prompt.task_key} has {used} tokens, and the context of {self._endpoint.spec} holds "
                f"{context} with what follows; shorten the prompt, or use a model with a longer context"
            )
        return min(wanted, context - used)

    async def _answer(self, future: Any, doing: str) -> Any:
        return await self._endpoint.connection.answer(future, doing)
