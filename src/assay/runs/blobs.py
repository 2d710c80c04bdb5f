"""Token ids and log-probabilities as compact bytes: 4 bytes a number where nothing is lost, little-endian."""

import sys
from array import array
from collections.abc import Sequence

_INT, _FLOAT, _DOUBLE = "i", "f", "d"


def pack_tokens(tokens: Sequence[int]) -> bytes:
    """Token ids as int32. Raises OverflowError for an id that needs more than 31 bits."""
    return _little_endian(array(_INT, tokens)).tobytes()


def unpack_tokens(data: bytes) -> tuple[int, ...]:
    """What `pack_tokens` was given."""
    return tuple(_from_bytes(_INT, data))


def pack_logprobs(logprobs: Sequence[float]) -> bytes:
    """Log-probabilities as float32 where that gives back the same numbers (local models), else as float64.

    The reader tells the two apart by the number of tokens, which is stored beside.
    """
    narrow = array(_FLOAT, logprobs)
    exact = all(small == given for small, given in zip(narrow, logprobs, strict=True))
    return _little_endian(narrow if exact else array(_DOUBLE, logprobs)).tobytes()


def unpack_logprobs(data: bytes, n_tokens: int) -> tuple[float, ...]:
    """What `pack_logprobs` was given, exactly."""
    return tuple(_from_bytes(_DOUBLE if n_tokens and len(data) == 8 * n_tokens else _FLOAT, data))


def _from_bytes(code: str, data: bytes) -> array:
    values = array(code)
    values.frombytes(data)
    return _little_endian(values)


def _little_endian(values: array) -> array:
    if sys.byteorder == "big":
        values.byteswap()
    return values
