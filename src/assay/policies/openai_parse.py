"""A server's answer as rows: text, tokens, log-probabilities, whichever of the known forms they come in.

Token ids. Where a server names them they are used. Where it gives the tokens' text only, a token gets a pseudo-id: 2^30
plus 30 bits of the SHA-256 of its bytes. It is the same in every process and for every server, equal tokens have equal
ids, and it cannot be mistaken for a real one; it does not lead back to the text. 20,000 distinct tokens share an id
with a probability of 17%, in which case two tokens look alike in a listing; no figure of a run depends on it.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.core.errors import PolicyError
from assay.core.records import StopReason

PSEUDO_BASE = 1 << 30
_ID_MARK = "token_id:"
_FAILED = ("abort", "error")


@dataclass(frozen=True)
class Token:
    """One token of an answer. logprob: None where there is none (the first token of an echoed prompt).

    alternatives: log-probabilities of the likeliest tokens at this place, by text.
    """

    id: int
    text: str
    data: bytes
    logprob: float | None
    alternatives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One choice of an answer. tokens: None where the server gives no log-probabilities."""

    text: str
    stop_reason: StopReason
    tokens: tuple[Token, ...] | None
    reasoning: str
    prompt_ids: tuple[int, ...] | None
    raw: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """All choices of an answer, and the tokens that the server counts."""

    rows: tuple[Row, ...]
    prompt_tokens: int
    completion_tokens: int


def pseudo_id(data: bytes) -> int:
    """The id of a token that is known by its bytes only; see the module's docstring."""
    return PSEUDO_BASE + (int.from_bytes(hashlib.sha256(data).digest()[:4], "big") >> 2)


def read_answer(body: Any) -> Answer:
    """The rows of a completion or a chat completion. PolicyError for an answer that is neither."""
    try:
        usage = body["usage"]
        choices = sorted(body["choices"], key=lambda choice: choice["index"])
        rows = tuple(_row(choice, body) for choice in choices)
        return Answer(rows, int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PolicyError(f"the server's answer has not the form of a completion ({error!r})") from error


def _row(choice: Mapping[str, Any], body: Mapping[str, Any]) -> Row:
    message = choice.get("message")
    text = choice["text"] if message is None else message.get("content")
    reasoning = "" if message is None else message.get("reasoning_content") or message.get("reasoning") or ""
    finish = choice.get("finish_reason")
    if finish in _FAILED:
        raise PolicyError(f"the server gave up a completion ({finish})")
    ids = choice.get("token_ids")
    prompt_ids = choice.get("prompt_token_ids") or body.get("prompt_token_ids")
    return Row(
        text=text or "",
        stop_reason=StopReason.LENGTH if finish == "length" else StopReason.STOP,
        tokens=_tokens(choice.get("logprobs"), ids),
        reasoning=reasoning,
        prompt_ids=None if prompt_ids is None else tuple(prompt_ids),
        raw=choice,
    )


def _tokens(logprobs: Mapping[str, Any] | None, ids: Sequence[int] | None) -> tuple[Token, ...] | None:
    """Both forms: parallel lists (`tokens`, `token_logprobs`), and a list of entries under `content`."""
    if logprobs is None or (logprobs.get("content") is None and logprobs.get("tokens") is None):
        return None
    if logprobs.get("content") is not None:
        tokens = tuple(_entry(entry) for entry in logprobs["content"])
    else:
        alternatives = logprobs.get("top_logprobs") or [None] * len(logprobs["tokens"])
        parts = zip(logprobs["tokens"], logprobs["token_logprobs"], alternatives, strict=True)
        tokens = tuple(_token(text, text.encode(), None, value, top or {}) for text, value, top in parts)
    if not ids:
        return tokens
    if len(ids) != len(tokens):
        raise PolicyError(f"the server gave {len(ids)} token ids with {len(tokens)} log-probabilities")
    return tuple(
        Token(number, token.text, token.data, token.logprob, token.alternatives)
        for number, token in zip(ids, tokens, strict=True)
    )


def _entry(entry: Mapping[str, Any]) -> Token:
    data = entry.get("bytes")
    top = {one["token"]: one["logprob"] for one in entry.get("top_logprobs") or ()}
    known = bytes(data) if data else entry["token"].encode()
    return _token(entry["token"], known, entry.get("id"), entry["logprob"], top)


def _token(text: str, data: bytes, number: int | None, value: float | None, top: Mapping[str, float]) -> Token:
    if number is None and text.startswith(_ID_MARK) and text.removeprefix(_ID_MARK).isdecimal():
        number = int(text.removeprefix(_ID_MARK))
    number = pseudo_id(data) if number is None else number
    return Token(number, text, data, _logprob(value), {name: float(one) for name, one in top.items()})


def _logprob(value: float | None) -> float | None:
    """At most 0: servers round a certain token's to a little more."""
    if value is None:
        return None
    if math.isnan(value):
        raise PolicyError("the server gave a log-probability that is not a number")
    return min(float(value), 0.0)


def cut_at_stop(row: Row, stop: Sequence[str]) -> Row:
    """`row` ended at the first stop string, for servers that take only some of them.

    Tokens run up to and including the one that completes the stop string.
    """
    places = [(place, mark) for mark in stop if (place := row.text.find(mark)) >= 0]
    if not places:
        return row
    place, mark = min(places, key=lambda found: (found[0], found[0] + len(found[1])))
    tokens = row.tokens
    if tokens is not None:
        needed, seen = len((row.text[:place] + mark).encode()), 0
        for count, token in enumerate(tokens, 1):
            seen += len(token.data)
            if seen >= needed:
                tokens = tokens[:count]
                break
    return Row(row.text[:place], StopReason.STOP, tokens, row.reasoning, row.prompt_ids, row.raw)
