"""What is asked of a server for one prompt, in the server's own dialect."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from assay.core.errors import PolicyError, UsageError
from assay.core.records import Prompt, SamplingParams
from assay.policies.openai_dialects import Dialect
from assay.policies.openai_http import Link, Reply
from assay.policies.openai_parse import Answer, Token, read_answer
from assay.policies.openai_settings import Address, ServerSettings
from assay.policies.renderers import chat_text
from assay.policies.text import prompt_tokens

_CONTEXT = re.compile(r"context|too long|maximum.{0,20}length|longer than the max|exceed.{0,30}(token|length)", re.I)
_NEW_LIMIT = "max_completion_tokens"


@dataclass(frozen=True)
class Server:
    """A model at a server whose dialect is known. model: the name that requests carry; an adapter has its own.

    prompt_ids: token ids of prompts by their hash, as the server told them. pieces: bytes of the tokens that were
    drawn, by pseudo-id. prompt_lengths: tokens of prompts by their hash, as the server counts them.
    """

    address: Address
    settings: ServerSettings
    dialect: Dialect
    link: Link
    model: str
    tokenizer: Any = None
    context_tokens: int | None = None
    prompt_ids: dict[str, tuple[int, ...]] = field(default_factory=dict)
    prompt_lengths: dict[str, int] = field(default_factory=dict)
    pieces: dict[int, bytes] = field(default_factory=dict)

    def named(self, model: str) -> "Server":
        """The same server, asked for another model."""
        return replace(self, model=model)

    def uses_chat(self, prompt: Prompt) -> bool:
        """The prompt goes to the chat interface, where the server renders it."""
        return prompt.kind == "chat" and self.tokenizer is None

    def lacks_logprobs(self) -> str:
        """The message for a server without log-probabilities."""
        return (
            f"{self.address.spec} gives no log-probabilities, which surprisal and every selector by confidence need; "
            f"{self.dialect.without_logprobs}. To sample without them: --set server.logprobs=dropped"
        )

    def dollars(self, answers: Sequence[Answer]) -> float | None:
        """What `answers` cost at the prices of the settings; None if none is set."""
        prices = (self.settings.prompt_dollars_per_million, self.settings.completion_dollars_per_million)
        if prices == (None, None):
            return None
        prompt = sum(answer.prompt_tokens for answer in answers) * (prices[0] or 0.0)
        return (prompt + sum(answer.completion_tokens for answer in answers) * (prices[1] or 0.0)) / 1e6

    async def complete(
        self, prompt: Prompt, n: int, params: SamplingParams, seed: int, more: Mapping[str, Any] | None = None
    ) -> Answer:
        """One request for `n` completions. more: fields that are added to the request.

        A completion that would not fit the context is made shorter. UsageError for a prompt that does not fit, and for
        whatever else the server refuses.
        """
        body = self._body(prompt, n, params, seed) | dict(more or {})
        path = "chat/completions" if self.uses_chat(prompt) else "completions"
        reply = await self.link.post(path, body)
        if not reply.is_ok and _NEW_LIMIT in reply.complaint and "max_tokens" in body:
            body[_NEW_LIMIT] = body.pop("max_tokens")
            reply = await self.link.post(path, body)
        if not reply.is_ok and _CONTEXT.search(reply.complaint):
            body["max_tokens"] = await self._room(prompt, reply, params.max_tokens)
            reply = await self.link.post(path, body)
        return self._kept(prompt, self.read(reply, prompt))

    def read(self, reply: Reply, prompt: Prompt) -> Answer:
        """The answer in a reply; UsageError for a refusal."""
        if reply.is_ok:
            return read_answer(reply.body)
        if reply.status == 404 and "model" in reply.complaint.lower():
            raise UsageError(f"{self.address.spec}: the server has no such model now ({reply.complaint})")
        raise UsageError(
            f"{self.address.spec} refuses the request for {prompt.task_key} (status {reply.status}): {reply.complaint}"
        )

    def prompt_text(self, prompt: Prompt) -> str:
        """The prompt as the text that the model goes on from. UsageError for a chat that only the server can render."""
        if prompt.kind == "completion":
            return prompt.text
        if self.tokenizer is None:
            raise UsageError(
                f"{prompt.task_key}: a chat that {self.address.spec} renders itself cannot be scored; name the model's "
                "tokenizer: --set server.tokenizer=FOLDER-or-hub-id"
            )
        return chat_text(self.tokenizer, prompt)

    async def known_ids(self, prompt: Prompt) -> tuple[int, ...] | None:
        """Token ids of a prompt: by the tokenizer, from an earlier answer, or from the server's `/tokenize`."""
        if self.tokenizer is not None:
            return prompt_tokens(self.tokenizer, prompt)
        body = self._to_tokenize(prompt)
        if prompt.hash not in self.prompt_ids and body is not None:
            reply = await self.link.post("/tokenize", body)
            found = reply.body.get("tokens") if reply.is_ok and isinstance(reply.body, dict) else None
            if isinstance(found, list):
                self.prompt_ids[prompt.hash] = tuple(found)
        return self.prompt_ids.get(prompt.hash)

    def _body(self, prompt: Prompt, n: int, params: SamplingParams, seed: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "seed": seed,
            **self.dialect.neutral,
            **self.dialect.ids,
        }
        stop = prompt.stop[: self.dialect.most_stops]
        body |= {"stop": list(stop)} if stop else {}
        body |= {"n": n} if n > 1 else {}
        has_logprobs = self.settings.logprobs == "required"
        if self.uses_chat(prompt):
            return body | self._messages(prompt) | ({"logprobs": True, "top_logprobs": 1} if has_logprobs else {})
        return body | {"prompt": self._prompt(prompt)} | ({"logprobs": 1} if has_logprobs else {})

    def _prompt(self, prompt: Prompt) -> str | list[int]:
        if self.tokenizer is not None and self.dialect.takes_ids:
            return list(prompt_tokens(self.tokenizer, prompt))
        text = self.prompt_text(prompt)
        if not text:
            raise UsageError(
                f"the prompt of {prompt.task_key} is empty; a model needs at least one token to go on from"
            )
        return text

    def _messages(self, prompt: Prompt) -> dict[str, Any]:
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        if not prompt.prefill:
            return {"messages": messages}
        if self.dialect.continues is None:
            raise UsageError(self.cannot_continue())
        begun = {"role": "assistant", "content": prompt.prefill}
        return {"messages": [*messages, begun], **self.dialect.continues}

    def cannot_continue(self) -> str:
        """The message for a begun assistant turn where the server would close it."""
        return (
            f"{self.address.spec} cannot go on with an assistant's turn that the prompt begins: ask for whole answers "
            "(--set prompt.prefill=false), or name the model's tokenizer (--set server.tokenizer=FOLDER-or-hub-id)"
        )

    def _to_tokenize(self, prompt: Prompt) -> dict[str, Any] | None:
        if self.dialect.tokenizes == "prompt":
            asked = {"prompt": prompt.text} if prompt.kind == "completion" else self._messages(prompt)
            return {"model": self.model, **asked}
        if self.dialect.tokenizes == "content" and prompt.kind == "completion":
            return {"content": prompt.text, "add_special": True}
        return None

    async def _room(self, prompt: Prompt, reply: Reply, wanted: int) -> int:
        """How many tokens may follow the prompt, after a server has found that it and the completion do not fit."""
        ids = await self.known_ids(prompt)
        held = self.context_tokens
        if ids is None or held is None:
            raise UsageError(
                f"the prompt of {prompt.task_key} does not fit the context of {self.address.name} with {wanted} tokens "
                f"to follow ({reply.complaint}); shorten one of them"
            )
        if len(ids) >= held:
            raise UsageError(
                f"the prompt of {prompt.task_key} has {len(ids)} tokens, and the context of {self.address.name} "
                f"holds {held}; shorten the prompt, or serve the model with a longer context"
            )
        if held - len(ids) >= wanted:
            raise UsageError(f"{self.address.spec} refuses the request for {prompt.task_key}: {reply.complaint}")
        return held - len(ids)

    def _kept(self, prompt: Prompt, answer: Answer) -> Answer:
        """Notes what later requests need to know of this answer."""
        self.prompt_lengths[prompt.hash] = answer.prompt_tokens
        for row in answer.rows:
            if row.prompt_ids:
                self.prompt_ids[prompt.hash] = row.prompt_ids
            if self.dialect.scoring == "echo":
                self.pieces.update((token.id, token.data) for token in row.tokens or ())
        return answer


def first_tokens(answer: Answer) -> Mapping[str, float]:
    """The likeliest first tokens of an answer with their log-probabilities; empty if the server gave none."""
    tokens: tuple[Token, ...] = answer.rows[0].tokens or () if answer.rows else ()
    if not tokens:
        return {}
    first = tokens[0]
    own = {} if first.logprob is None else {first.text: first.logprob}
    return dict(first.alternatives) | own


def checked_length(got: int, wanted: int, what: str) -> None:
    """PolicyError unless a server gave as many numbers as there are tokens."""
    if got != wanted:
        raise PolicyError(f"the server gave {got} log-probabilities of {wanted} {what} tokens")
