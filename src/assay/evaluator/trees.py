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

    def visit(node: Any, depth: int) -> dict[str, Any]:
        if depth > _MAX_DEPTH:
            raise UnsupportedValue(f"nested more than {_MAX_DEPTH} deep")
        if type(node) is torch.Tensor or type(node) is torch.nn.Parameter:
            tensors.append(node)
            return {"t": len(tensors) - 1}
        if type(node) is list:
            return {"list": [visit(item, depth + 1) for item in node]}
        if isinstance(node, tuple):
            return {"tuple": [visit(item, depth + 1) for item in node]}
        if type(node) is dict:
            return {"dict": [[str(key), visit(item, depth + 1)] for key, item in node.items()]}
        if type(node) in _SCALARS:
            if type(node) is float and not math.isfinite(node):
                return {"v": repr(node)}
            return {"v": node}
        raise UnsupportedValue(f"a {type(node).__name__}")

    return visit(value, 0), tensors


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
