"""The integer constants at the top level of a task, and the tensor sizes that follow from them.

Places are found on the syntax tree and replaced in the text, so that layout and comments survive. Nothing is executed:
sizes are worked out by a small evaluator of integer arithmetic.
"""

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assay.core.errors import UsageError
from assay.tasks.contract import parse_source

TENSOR_MAKERS = {"rand", "randn", "randint", "zeros", "ones", "empty", "full"}


@dataclass(frozen=True)
class Constant:
    """A module-level integer: `start:end` (bytes of the source) hold the expression with this `value`.

    `index` is None for a plain integer and the position for an element of a tuple or list.
    """

    name: str
    value: int
    start: int
    end: int
    index: int | None = None


def constants(source: str) -> list[Constant]:
    """The integers assigned at module level, in the order of the text: plain, computed, and in tuples and lists."""
    starts = [0]
    for line in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return [
        Constant(
            name,
            value,
            starts[node.lineno - 1] + node.col_offset,
            starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0),
            index,
        )
        for statement in parse_source(source, "task source").body
        for name, node, value, index in _assigned(statement)
    ]


def set_constants(source: str, values: Mapping[str, int]) -> str:
    """`source` with the plain module-level integers named in `values` set; `UsageError` for a name that is not one."""
    present = {constant.name: constant for constant in constants(source) if constant.index is None}
    unknown = sorted(set(values) - set(present))
    if unknown:
        raise UsageError(f"no module-level integer {', '.join(unknown)}. The task has {', '.join(sorted(present))}.")
    return replaced(source, {present[name]: value for name, value in values.items()})


def replaced(source: str, values: Mapping[Constant, int]) -> str:
    """`source` with each of these constants' expressions replaced by an integer literal."""
    data = source.encode()
    for constant in sorted(values, key=lambda c: c.start, reverse=True):
        if values[constant] != constant.value:
            data = data[: constant.start] + str(values[constant]).encode() + data[constant.end :]
    return data.decode()


def input_elements(source: str) -> int | None:
    """Elements of all tensors whose sizes `get_inputs` states by constants; None where it states none."""
    known: dict[str, int | tuple[int, ...]] = {}
    tree = parse_source(source, "task source")
    makers = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "get_inputs"]
    for statement in (*tree.body, *(inner for maker in makers for inner in maker.body)):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                _bind(target, _evaluate(statement.value, known), known)
    calls = [node for maker in makers for node in ast.walk(maker) if isinstance(node, ast.Call)]
    sizes = [_elements(call, known) for call in calls]
    stated = [size for size in sizes if size is not None]
    return sum(stated) if stated else None


# -- places ------------------------------------------------------------------------------------------------------


def _assigned(statement: ast.stmt) -> Iterator[tuple[str, ast.expr, int, int | None]]:
    """(name, expression, value, index) of every integer that a module-level statement assigns."""
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets: list[ast.expr] = [statement.target]
        value = statement.value
    elif isinstance(statement, ast.Assign):
        targets, value = statement.targets, statement.value
    else:
        return
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if isinstance(value, ast.BinOp) and isinstance(value.left, ast.List):  # [1024] * 16: the factor is a count
        value = value.left
    number = _integer(value)
    if number is not None and names:
        yield names[0], value, number, None
    if not isinstance(value, (ast.Tuple, ast.List)):
        return
    target = targets[0]
    for index, element in enumerate(value.elts):
        number = _integer(element)
        if number is None:
            continue
        if isinstance(target, ast.Tuple) and len(target.elts) == len(value.elts):
            name = target.elts[index]
            if isinstance(name, ast.Name):
                yield name.id, element, number, None
        elif names:
            yield names[0], element, number, index


def _integer(node: ast.expr) -> int | None:
    value = _evaluate(node, {})
    return value if isinstance(value, int) and value > 0 else None


# -- the little arithmetic that sizes are written in -------------------------------------------------------------


def _evaluate(node: ast.expr, known: Mapping[str, int | tuple[int, ...]]) -> int | tuple[int, ...] | None:
    """An integer or a tuple of integers made of literals, known names, + - * // ** and tuples; None for the rest."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, int) and not isinstance(node.value, bool) else None
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, (ast.Tuple, ast.List)):
        return _flat(node.elts, known)
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, known), _evaluate(node.right, known)
        if isinstance(left, int) and isinstance(right, int):
            return _arithmetic(node.op, left, right)
    return None


def _arithmetic(operator: ast.operator, left: int, right: int) -> int | None:
    if isinstance(operator, ast.Add):
        return left + right
    if isinstance(operator, ast.Sub):
        return left - right
    if isinstance(operator, ast.Mult):
        return left * right
    if isinstance(operator, ast.FloorDiv) and right:
        return left // right
    if isinstance(operator, ast.Pow) and 0 <= right <= 64:
        return left**right
    return None


def _flat(nodes: list[ast.expr], known: Mapping[str, int | tuple[int, ...]]) -> tuple[int, ...] | None:
    """The integers of an argument list, with `*sizes` and nested tuples spread out; None where one is unknown."""
    flat: list[int] = []
    for node in nodes:
        value = _evaluate(node.value if isinstance(node, ast.Starred) else node, known)
        if value is None:
            return None
        flat.extend(value if isinstance(value, tuple) else (value,))
    return tuple(flat)


def _bind(target: ast.expr, value: int | tuple[int, ...] | None, known: dict[str, int | tuple[int, ...]]) -> None:
    if value is None:
        return
    if isinstance(target, ast.Name):
        known[target.id] = value
    elif isinstance(target, ast.Tuple) and isinstance(value, tuple) and len(target.elts) == len(value):
        for element, part in zip(target.elts, value, strict=True):
            _bind(element, part, known)


def _elements(call: ast.Call, known: Mapping[str, int | tuple[int, ...]]) -> int | None:
    """Elements of the tensor that a call like `torch.rand(M, N)` makes; None for other calls and unknown sizes."""
    if not (isinstance(call.func, ast.Attribute) and call.func.attr in TENSOR_MAKERS):
        return None
    arguments = call.args
    if call.func.attr in ("randint", "full"):  # the size is the last positional tuple, or the keyword
        arguments = [a for a in arguments if isinstance(a, (ast.Tuple, ast.List))][-1:]
        arguments += [keyword.value for keyword in call.keywords if keyword.arg == "size"]
    sizes = _flat(arguments, known)
    return math.prod(sizes) if sizes else None
