"""The texts of a completion's tokens, for the page's picture of surprisal; and numbers as short strings.

Tokens are stored as ids. Their texts come from the model's own tokenizer file where this machine has it, read without
the model; where it has not, or where the texts do not add up to the completion, the picture has cells without text.
"""

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from assay.core.places import cache_root
from assay.policies.models import REGISTRY

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LONGEST = len(DIGITS) - 2
_MOST = len(DIGITS) ** 2 - 1


def find_tokenizer(model: str) -> Tokenizer | None:
    """The tokenizer of a model as it is named in a run; None where its file is not at hand."""
    if model in REGISTRY:
        folder = cache_root() / "unpacked" / REGISTRY[model].sha256[:16]
    elif model.startswith("local:"):
        folder = Path(model.removeprefix("local:"))
    else:
        return None
    path = folder / "tokenizer.json"
    return Tokenizer.from_file(str(path)) if path.is_file() else None


def piece_lengths(tokenizer: Tokenizer, tokens: Sequence[int], text: str) -> list[int] | None:
    """How many characters of `text` each token gave, 0 for one that gave none or lies behind a stop string.

    None where the texts of the tokens do not begin with `text`. A character of several tokens is the last one's.
    """
    stream = DecodeStream(skip_special_tokens=True)
    size = tokenizer.get_vocab_size()
    if any(token >= size for token in tokens):
        return None
    pieces = [stream.step(tokenizer, token) or "" for token in tokens]
    if not "".join(pieces).startswith(text):
        return None
    left, lengths = len(text), []
    for piece in pieces:
        lengths.append(min(len(piece), left))
        left -= lengths[-1]
    return lengths


def packed_surprisals(logprobs: Sequence[float]) -> str:
    """Minus each log-probability in hundredths of a nat, two characters of `DIGITS` each; at most 40.95 nats."""
    return "".join(_two(min(_MOST, max(0, round(-100 * logprob)))) for logprob in logprobs)


def packed_lengths(lengths: Sequence[int]) -> str:
    """Each length as one character of `DIGITS`, or as the last one and two more."""
    return "".join(DIGITS[n] if n <= _LONGEST else DIGITS[-1] + _two(min(n, _MOST)) for n in lengths)


def _two(number: int) -> str:
    return DIGITS[number // len(DIGITS)] + DIGITS[number % len(DIGITS)]
