"""Cuts the statements of `forward` out of a text that begins with them."""

import ast
import io
import itertools
import tokenize
from collections.abc import Iterator

from assay.prompting.assemble import has_return
from assay.prompting.source import end_line, first_code_line, in_a_block, indent_of, parse

MAX_UNFINISHED = 3  # how many lines of code a body may lose at its end


def find_body(text: str, tail: str) -> str | None:
    """The statements that `text` begins with, at any indentation; `tail` is the indentation at the prompt's end.

    None if they hold no `return`. Raises SyntaxError if they do not parse.
    """
    fault: SyntaxError | None = None
    has_parsed = False
    for layout in _layouts(text, tail):
        try:
            body = _cut_body(layout)
        except SyntaxError as error:
            fault = fault or error
            continue
        if body is not None:
            return body
        has_parsed = True
    if fault is not None and not has_parsed:
        raise fault
    return None


def _layouts(text: str, tail: str) -> Iterator[str]:
    """`text` with the indentations that its first line may be meant to have.

    That line goes on from the prompt, so it alone may be off: by a space that a tokenizer moved, or by all of it where
    a model begins the body again at the margin.
    """
    first, _, rest = text.partition("\n")
    if not first.strip():
        yield rest
        return
    own = len(tail) + indent_of(first)
    others = [indent_of(line) for line in rest.split("\n") if line.strip()]
    # Lines at most two columns to the left still belong to the body: it is the first line that stands askew.
    near = list(itertools.takewhile(lambda indent: indent >= own - 2, others))
    indents = [
        min(near, default=own),
        own,
        *([indent_of(first_code_line(rest.split("\n"))), min(others)] if others else []),
    ]
    for indent in dict.fromkeys(indents):
        yield " " * indent + first.lstrip(" ") + "\n" + rest


def _cut_body(text: str) -> str | None:
    """The statements up to the first dedent, or to the first `return` at their own level.

    Up to `MAX_UNFINISHED` lines are left out at the end where the rest parses without them. None if there is no
    `return`. Raises SyntaxError if the statements do not parse.
    """
    lines, ends = _statement_ends(text)
    fault = SyntaxError("no whole statement")
    for end in reversed(ends[-1 - MAX_UNFINISHED :]):
        piece = "\n".join(lines[:end]).strip("\n")
        block = in_a_block(piece)
        try:
            tree = parse(block + "\n").tree
        except SyntaxError as error:
            fault = error
            continue
        statements = tree.body if block == piece else _block_body(tree.body[0])
        if not has_return(statements):
            return None
        returns = [node for node in statements if isinstance(node, ast.Return)]
        last = end_line(returns[0] if returns else statements[-1]) - (block != piece)
        return "\n".join(piece.split("\n")[:last])
    raise fault


def _block_body(node: ast.stmt) -> list[ast.stmt]:
    assert isinstance(node, ast.If)
    return node.body


def _statement_ends(text: str) -> tuple[list[str], list[int]]:
    """The lines of `text`, and after how many of them a line of code is whole, up to where the body ends.

    Reads token by token and stops there, so that nothing that follows the body can matter.
    """
    block = in_a_block(text)
    base = int(block != text)
    level, is_first, is_return = 0, True, False
    ends: list[int] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(block).readline):
            if token.type == tokenize.INDENT:
                level += 1
            elif token.type == tokenize.DEDENT:
                level -= 1
                if level < base:
                    break
            elif token.type == tokenize.NEWLINE:
                if token.start[0] > base:
                    ends.append(token.start[0] - base)
                if is_return and level == base:
                    break
                is_first = True
            elif is_first and token.type not in (tokenize.NL, tokenize.COMMENT):
                is_first, is_return = False, token.string == "return"
    except (tokenize.TokenError, SyntaxError):
        pass  # an unfinished string or bracket, or an uneven dedent: the body ends before it
    return text.split("\n"), ends
