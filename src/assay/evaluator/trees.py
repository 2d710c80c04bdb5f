"""Nested values of tensors, taken apart into a JSON skeleton and a flat list of tensors, and put together again.

skeleton := {"t": i} | {"list": [skeleton...]} | {"tuple": [...]} | {"dict": [[key, skeleton]...]} | {"v": scalar}
"""

import math
from collections.abc import Sequence
from typing import Any

import torch

_SCALARS = (bool, int, float, str, type(None))
_MAX_DEPTH = 16


class UnsupportedValue(TypeError):
    """A value that is no tensor, scalar, or list, tuple or dict of such."""


def flatten(value: Any) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Takes `value` apart. Tensor subclasses are refused: what they do when they are read is their own code."""
    tensors: list[torch.Tensor] = []
    return _taken_apart(value, tensors, 0), tensors


def _taken_apart(node: Any, tensors: list[torch.Tensor], depth: int) -> dict[str, Any]:
    # A function of its own and not a closure: a closure that calls itself would keep the tensors alive until the
    # garbage collector comes by, which on a GPU is too late.
    if depth > _MAX_DEPTH:
        raise UnsupportedValue(f"nested more than {_MAX_DEPTH} deep")
    if type(node) is torch.Tensor or type(node) is torch.nn.Parameter:
        tensors.append(node)
        return {"t": len(tensors) - 1}
    if type(node) is list:
        return {"list": [_taken_apart(item, tensors, depth + 1) for item in node]}
    if isinstance(node, tuple):  # named ones too; but no subclass may say itself what is in it
        return {"tuple": [_taken_apart(item, tensors, depth + 1) for item in tuple.__iter__(node)]}
    if type(node) is dict:
        return {"dict": [[str(key), _taken_apart(item, tensors, depth + 1)] for key, item in node.items()]}
    if type(node) in _SCALARS:
        return {"v": repr(node) if type(node) is float and not math.isfinite(node) else node}
    raise UnsupportedValue(f"a {type(node).__name__}")


def unflatten(skeleton: dict[str, Any], tensors: Sequence[torch.Tensor]) -> Any:
    """The value that `flatten` took apart, with `tensors` in place of the original ones."""
    ((kind, content),) = skeleton.items()
    if kind == "t":
        return tensors[content]
    if kind == "list":
        return [unflatten(item, tensors) for item in content]
    if kind == "tuple":
        return tuple(unflatten(item, tensors) for item in content)
    if kind == "dict":
        return {key: unflatten(item, tensors) for key, item in content}
    return content
