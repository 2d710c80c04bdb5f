"""A language model behind an HTTP server that speaks the OpenAI interface.

Reproducibility is the server's: every row of a draw is a request with a seed of its own, a function of (seed, prompt,
row), so asking for more rows leaves the first ones as they were where the server honours seeds. With
`rows_per_request` above 1 the rows of one request share a seed and depend on how many there are.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from assay.core.concurrency import together
from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import Capabilities, Draw, LoraConfig, Trainer
from assay.core.records import Completion, Prompt, SamplingParams, Scored, content_hash
from assay.policies.openai_adapters import load_adapter
from assay.policies.openai_connect import Proven, Wanted, found_server, needs_rescoring, prove_logprobs
from assay.policies.openai_http import Link
from assay.policies.openai_parse import Answer, Row, cut_at_stop
from assay.policies.openai_requests import Server
from assay.policies.openai_scoring import score_tokens
from assay.policies.openai_settings import Address, ServerSettings, parse_address
from assay.policies.probe_logprobs import ProbeReport
from assay.policies.renderers import answer_apart


def load_openai(
    spec: str, settings: ServerSettings | None = None, wanted: Wanted | None = None, device: str = "remote"
) -> "OpenAIPolicy":
    """Connects to `openai:NAME@URL`, finds out what the server can do, and proves its log-probabilities.

    wanted: what the run will ask for, so that what the server cannot do is known before anything is sampled.
    device: what a server on this machine keeps busy; elsewhere it is "remote".
    Takes a few requests of a few tokens. Raises UsageError for whatever stands in the way: no server, a key that is
    not accepted, a model that it has not, missing or tempered log-probabilities.
    """
    settings, wanted = settings or ServerSettings(), wanted or Wanted()
    address = parse_address(spec)
    return asyncio.run(_connected(address, settings, wanted, device if _is_here(address) else "remote"))


async def _connected(address: Address, settings: ServerSettings, wanted: Wanted, device: str) -> "OpenAIPolicy":
    link = Link(address, settings)
    try:
        server = await found_server(link, address, settings, wanted)
        identity = content_hash("openai", address.name)
        if settings.adapter is not None:
            adapter = await load_adapter(server, settings.adapter)
            server, identity = server.named(adapter.name), adapter.identity
        proven = await _proven(server, identity, wanted)
        link.is_starting = False
        return OpenAIPolicy(server, identity, proven, wanted.kind, device)
    except PolicyError as error:  # at the start nothing is lost yet: it is a request that cannot be met
        raise UsageError(f"--model openai:{address.name}: {error}") from error
    finally:
        await link.close()


async def _proven(server: Server, identity: str, wanted: Wanted) -> Proven:
    trial = OpenAISampler(server, identity, Proven(ProbeReport.nothing(), server.dialect.scoring is not None))
    return await prove_logprobs(server, trial, wanted)


def _is_here(address: Address) -> bool:
    host = urlsplit(address.base_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class OpenAIPolicy:
    """A model at a server; samples, and scores where the server can. It is not trained through this interface."""

    def __init__(
        self, server: Server, identity: str, proven: Proven, kind: Literal["completion", "chat"] | None, device: str
    ) -> None:
        self._server, self._proven, self._device = server, proven, device
        self._kind: Literal["completion", "chat"] = kind or server.dialect.prompt_kind
        self._base = OpenAISampler(server, identity, proven)

    @property
    def name(self) -> str:
        """The specification, with its URL."""
        return self._server.address.spec

    @property
    def device(self) -> str:
        """The device that a server on this machine was said to use; "remote" for any other."""
        return self._device

    @property
    def dialect(self) -> str:
        """The kind of server that was found."""
        return self._server.dialect.name

    @property
    def report(self) -> ProbeReport:
        """What the start-up probe measured."""
        return self._proven.report

    @property
    def why_no_scores(self) -> str:
        """Why the server's scoring is not used; "" where it is."""
        return self._proven.why_not

    @property
    def capabilities(self) -> Capabilities:
        """What the server was found to offer. `logprobs` says what samples hold: tempered ones are scored again."""
        return Capabilities(
            can_train=False,
            can_score=self._proven.can_score,
            topk=self._server.dialect.topk if self._proven.can_score else 0,
            has_full_logits=False,
            losses=(),
            logprobs="tempered" if self._proven.report.verdict == "tempered" and not self._proven.can_score else "raw",
            reduction="sum",
            context_tokens=self._server.context_tokens,
        )

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """Completion where the server has that interface, else chat."""
        return self._kind

    def base(self) -> "OpenAISampler":
        """The served model, or the adapter that was loaded into it."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> Trainer:
        """A server's weights are not ours to change."""
        raise UsageError(f"{self.name} cannot be adapted; use a strategy that only samples, or a local model")

    async def close(self) -> None:
        """Ends the connections."""
        await self._server.link.close()


class OpenAISampler:
    """A served model as a snapshot: the same name is taken for the same weights."""

    def __init__(self, server: Server, identity: str, proven: Proven) -> None:
        self._server, self._identity, self._proven = server, identity, proven

    @property
    def id(self) -> str:
        """A hash of the model's name, and of the adapter's weights if one was loaded."""
        return self._identity

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """`n` completions of `prompt`; a stop string that the server does not take is applied here.

        Tempered log-probabilities are replaced by scored ones. UsageError for a request that the server refuses,
        PolicyError for one that keeps failing.
        """
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        size = self._server.settings.rows_per_request
        starts = range(0, n, size)
        answers = await together([self._answer(prompt, first, min(size, n - first), params) for first in starts])
        completions = [self._completion(prompt, row) for answer in answers for row in answer.rows]
        if self._proven.report.verdict == "tempered" and needs_rescoring(params):
            completions = await together([self._rescored(prompt, completion) for completion in completions])
        return Draw(
            prompt_tokens=max(answer.prompt_tokens for answer in answers),
            completions=tuple(completions),
            completion_tokens=sum(answer.completion_tokens for answer in answers),
            dollars=self._server.dollars(answers),
        )

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """Raw log-probabilities of `completion` after `prompt`, and the `topk` likeliest at each place.

        UsageError where the server cannot, or for more alternatives than it gives.
        """
        dialect = self._server.dialect
        if not self._proven.can_score:
            raise UsageError(
                f"{self._server.address.spec} does not score given text ({self._proven.why_not}); use a local model, "
                "or serve it with vLLM"
            )
        if topk > dialect.topk:
            raise UsageError(
                f"a {dialect.name} server gives at most {dialect.topk} top-k log-probabilities, not {topk}"
            )
        if not completion:
            return Scored(tokens=(), logprobs=())
        return await score_tokens(self._server, prompt, tuple(completion), topk)

    async def _answer(self, prompt: Prompt, first: int, n: int, params: SamplingParams) -> Answer:
        seed = int(content_hash(str(params.seed), prompt.hash, str(first)), 16) & 0x7FFFFFFF
        answer = await self._server.complete(prompt, n, params, seed)
        if len(answer.rows) != n:
            raise UsageError(
                f"{self._server.address.spec} gave {len(answer.rows)} completions where {n} were asked for; "
                "this server takes one at a time: --set server.rows_per_request=1"
            )
        return answer

    def _completion(self, prompt: Prompt, row: Row) -> Completion:
        row = cut_at_stop(row, prompt.stop)
        text = row.text.removeprefix(prompt.prefill) if prompt.prefill else row.text
        if self._server.settings.logprobs == "dropped":
            tokens, logprobs = (), ()
        elif row.tokens is None:
            raise UsageError(self._server.lacks_logprobs())
        else:
            tokens = tuple(token.id for token in row.tokens)
            logprobs = tuple(token.logprob for token in row.tokens if token.logprob is not None)
        return answer_apart(
            Completion(
                tokens=tokens, logprobs=logprobs, text=text, stop_reason=row.stop_reason, reasoning=row.reasoning
            )
        )

    async def _rescored(self, prompt: Prompt, completion: Completion) -> Completion:
        if not completion.tokens:
            return completion
        scored = await self.score(prompt, completion.tokens)
        return completion.model_copy(update={"logprobs": scored.logprobs})
