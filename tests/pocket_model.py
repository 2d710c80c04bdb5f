"""A language model that fits in a page: exact log-probabilities, a real vocabulary, no weights.

The logits after a text are a fixed function of its last two tokens, so that everything a server may be asked (drawing,
scoring, alternatives) has one right answer that a test can work out for itself.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

PIECES = (
    " return",
    " torch",
    ".relu",
    ".clamp",
    "(x",
    ", min",
    "=0",
    ")",
    "\n",
    "    ",
    " x",
    " *",
    " y",
    " ü",
    " λ",
    "e",
    "t",
    "def",
    "class",
    " #",
)
EOS = 0
VOCABULARY = (b"", *(bytes([byte]) for byte in range(256)), *(piece.encode() for piece in PIECES))
FIRST_PIECE = 257


@dataclass(frozen=True)
class Drawn:
    """A completion: token ids, and both kinds of log-probabilities. finish: `stop` or `length`."""

    tokens: tuple[int, ...]
    raw: tuple[float, ...]
    tempered: tuple[float, ...]
    text: str
    finish: str
    stop_tokens: int  # how many of its last tokens belong to the stop string


def tokenize(text: str) -> list[int]:
    """Longest match first."""
    data, ids, place = text.encode(), [], 0
    longest = max(map(len, VOCABULARY))
    known = {piece: number for number, piece in enumerate(VOCABULARY) if piece}
    while place < len(data):
        size = next(size for size in range(longest, 0, -1) if data[place : place + size] in known)
        ids.append(known[data[place : place + size]])
        place += size
    return ids


def detokenize(ids: list[int] | tuple[int, ...]) -> str:
    return b"".join(VOCABULARY[number] for number in ids).decode(errors="replace")


@lru_cache(maxsize=20000)
def _raw(tail: tuple[int, ...], salt: str) -> np.ndarray:
    digest = hashlib.sha256(repr((tail, salt)).encode()).digest()
    logits = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(0, 1.5, len(VOCABULARY))
    logits[1:FIRST_PIECE] -= 20  # single bytes are there to tokenize with
    logits[EOS] -= 1
    return _log_softmax(logits)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


def next_logprobs(ids: list[int], salt: str = "", temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities of the next token; those at a temperature are what some servers report."""
    raw = _raw(tuple(ids[-2:]), salt)
    return raw if temperature in (0, 1) else _log_softmax(raw / temperature)


def draw(
    prompt: list[int],
    max_tokens: int,
    temperature: float,
    seed: int,
    stop: tuple[str, ...] = (),
    top_k: int = 0,
    salt: str = "",
) -> Drawn:
    """One completion; `top_k` above 0 keeps so many of the likeliest tokens."""
    generator = np.random.default_rng(seed)
    ids: list[int] = []
    raw: list[float] = []
    tempered: list[float] = []
    while len(ids) < max_tokens:
        plain, hot = next_logprobs(prompt + ids, salt), next_logprobs(prompt + ids, salt, temperature)
        kept = np.exp(hot)
        if top_k > 0:
            kept[np.argsort(-kept)[top_k:]] = 0
        token = int(hot.argmax()) if temperature == 0 else int(generator.choice(len(kept), p=kept / kept.sum()))
        ids.append(token)
        raw.append(float(plain[token]))
        tempered.append(float(hot[token]))
        text = detokenize(ids)
        found = [(text.find(mark), mark) for mark in stop if mark in text]
        if found:
            place, mark = min(found)
            return Drawn(tuple(ids), tuple(raw), tuple(tempered), text[:place], "stop", len(tokenize(mark)))
        if token == EOS:
            return Drawn(tuple(ids), tuple(raw), tuple(tempered), text, "stop", 0)
    return Drawn(tuple(ids), tuple(raw), tuple(tempered), detokenize(ids), "length", 0)


def raw_logprobs(prompt: list[int], tokens: list[int] | tuple[int, ...], salt: str = "") -> list[float]:
    """What a scorer ought to say."""
    return [float(next_logprobs([*prompt, *tokens[:i]], salt)[token]) for i, token in enumerate(tokens)]
