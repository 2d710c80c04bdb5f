r"""Python source as text that can be read with `ast` and edited without touching the rest of its formatting.

All functions here take source in which line ends are "\n" (see `tidy`). Positions of `ast` count UTF-8 bytes, so
edits are made on bytes. Nothing here executes the code that it reads.
"""

import ast
import builtins
import io
import re
import symtable
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_SURROGATES = re.compile("[\ud800-\udfff]")
_LEADING_BLANKS = re.compile(r"^[ \t]*\t[ \t]*", re.MULTILINE)


@dataclass(frozen=True)
class Edit:
    """Replaces the bytes `start:end` of a source by `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Module:
    """A parsed module: `data` is its text in UTF-8, `line_starts[n]` the byte at which line n + 1 begins."""

    text: str
    tree: ast.Module
    data: bytes
    line_starts: tuple[int, ...]

    def offset(self, line: int, column: int) -> int:
        """The byte at which `column` (in bytes) of `line` (from 1) stands."""
        return self.line_starts[line - 1] + column

    def line_end(self, line: int) -> int:
        """The byte after the last one of `line`, before its line end."""
        return self.line_starts[line] - 1 if line < len(self.line_starts) else len(self.data)

    def slice(self, start: int, end: int) -> str:
        """The text of the bytes `start:end`."""
        return self.data[start:end].decode()

    def lines(self, first: int, last: int) -> str:
        """The text of whole lines, from `first` to `last` (from 1, both included), without the last line end."""
        return self.slice(self.offset(first, 0), self.line_end(last))

    def shares_line(self, node: ast.stmt) -> bool:
        """Another statement stands on the first or the last line of `node`."""
        before = self.slice(self.offset(node.lineno, 0), self.offset(node.lineno, node.col_offset))
        after = self.slice(self.offset(end_line(node), node.end_col_offset or 0), self.line_end(end_line(node)))
        return bool(before.strip()) or after.strip().startswith(";")

    def statement(self, node: ast.stmt) -> str:
        """The text of a statement: whole lines, decorators and trailing comment included, if it has them to itself."""
        if not self.shares_line(node):
            return self.lines(first_line(node), end_line(node))
        start = self.offset(node.lineno, node.col_offset)
        return self.slice(start, self.offset(end_line(node), node.end_col_offset or 0))


def tidy(text: str) -> str:
    r"""`text` as all functions here want it: "\n" as the only line end, spaces where a line begins with tabs.

    A byte order mark goes, and a lone surrogate, which no program can hold, becomes U+FFFD. Tabs are four columns wide;
    those at the start of a line inside a string are replaced too.
    """
    text = _SURROGATES.sub("\ufffd", text.removeprefix("\ufeff")).replace("\r\n", "\n").replace("\r", "\n")
    return _LEADING_BLANKS.sub(lambda blanks: blanks.group().expandtabs(4), text)


def parse(text: str) -> Module:
    """Parses `text`. Raises SyntaxError, and only that, for whatever the parser cannot take."""
    with _only_syntax_errors():
        tree = ast.parse(text)
    data = text.encode()
    starts = [0, *(index + 1 for index, byte in enumerate(data) if byte == 10)]
    return Module(text=text, tree=tree, data=data, line_starts=tuple(starts))


def check_compiles(text: str) -> None:
    """Raises SyntaxError if `text` does not compile; catches what the parser lets pass, such as a stray `break`."""
    with _only_syntax_errors():
        compile(text, "<candidate>", "exec", dont_inherit=True)


@contextmanager
def _only_syntax_errors() -> Iterator[None]:
    """Quiet warnings, and one kind of error for null bytes, lone surrogates and nesting beyond the parser's limits."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a warning about a candidate is not for the user, nor an error under -W error
        try:
            yield
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            raise SyntaxError(str(error) or type(error).__name__) from error


def apply_edits(module: Module, edits: Iterable[Edit]) -> str:
    """The text after `edits`. An edit that lies inside another is dropped; edits that cross otherwise are an error."""
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.end <= position and edit.start < position:
            continue
        if edit.start < position:
            raise ValueError(f"edits cross at byte {edit.start}")
        pieces += [module.data[position : edit.start], edit.text.encode()]
        position = edit.end
    return b"".join([*pieces, module.data[position:]]).decode()


def first_line(node: ast.stmt) -> int:
    """The line on which a statement begins, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def end_line(node: ast.stmt | ast.expr) -> int:
    """The last line of a parsed node."""
    return node.end_lineno or node.lineno


def line_edit(module: Module, node: ast.stmt, text: str = "") -> Edit:
    """Replaces the whole lines of a statement, line end included; without `text` it deletes them.

    A statement that shares a line with another keeps its place: deleted, it becomes `pass`.
    """
    if module.shares_line(node):
        start = module.offset(node.lineno, node.col_offset)
        return Edit(start, module.offset(end_line(node), node.end_col_offset or 0), text or "pass")
    end = module.line_end(end_line(node))
    return Edit(module.offset(first_line(node), 0), min(end + 1, len(module.data)), text)


def header_end(module: Module, node: ast.ClassDef | ast.FunctionDef) -> int:
    """The byte after the colon that ends the header of a class or function."""
    start = module.offset(node.lineno, node.col_offset)
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(module.slice(start, len(module.data))).readline):
        if token.type != tokenize.OP:
            continue
        depth += (token.string in "([{") - (token.string in ")]}")
        if token.string == ":" and depth == 0:
            row, column = token.end
            line = module.slice(start, len(module.data)).split("\n", row)[row - 1]
            begin = start if row == 1 else module.offset(node.lineno + row - 1, 0)
            return begin + len(line[:column].encode())
    raise SyntaxError(f"the header of {node.name} has no end")  # a parsed header has one


def is_docstring(node: ast.stmt) -> bool:
    """A statement that is a string and nothing else."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def without_docstrings(text: str) -> str:
    """`text` without the docstrings of its classes and functions, and without spaces at line ends."""
    module = parse(text)
    edits: list[Edit] = []
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not is_docstring(
            node.body[0]
        ):
            continue
        docstring = node.body[0]
        if len(node.body) > 1 and node.body[1].lineno > end_line(docstring) and docstring.lineno > node.lineno:
            edits.append(line_edit(module, docstring))
        elif len(node.body) == 1:
            start = module.offset(docstring.lineno, docstring.col_offset)
            edits.append(Edit(start, module.offset(end_line(docstring), docstring.end_col_offset or 0), "pass"))
    return "\n".join(line.rstrip() for line in apply_edits(module, edits).split("\n"))


def reindent(text: str, indent: int) -> str:
    """A block of statements moved so that its first statement stands at column `indent`.

    The inside of strings that span lines is left alone. Raises SyntaxError if the block does not parse.
    """
    lines = text.split("\n")
    shift = indent - indent_of(first_code_line(lines))
    module = parse(in_a_block(text))
    kept = string_lines(module.tree)
    offset = 1 if module.text != text else 0
    for index, line in enumerate(lines):
        if not line.strip() and index + 1 + offset not in kept:
            lines[index] = ""
        elif index + 1 + offset not in kept:
            stripped = line.lstrip(" ")
            lines[index] = " " * max(0, len(line) - len(stripped) + shift) + stripped
    return "\n".join(lines)


def in_a_block(text: str) -> str:
    """`text`, under a line that makes it a block of its own if it is indented."""
    return f"if 1:\n{text}" if indent_of(first_code_line(text.split("\n"))) else text


def first_code_line(lines: Sequence[str]) -> str:
    """The first line that holds more than spaces or a comment; "" if there is none."""
    return next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")


def indent_of(line: str) -> int:
    """How many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def string_lines(tree: ast.AST) -> set[int]:
    """The lines (from 1) that begin inside a string."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        is_string = isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        )
        if is_string and isinstance(node, ast.expr):
            inside.update(range(node.lineno + 1, end_line(node) + 1))
    return inside


def bound_names(node: ast.stmt) -> set[str]:
    """The names that a module-level statement binds in the module."""
    names: set[str] = set()
    stack: list[ast.AST] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(item.name)
            continue
        if isinstance(item, ast.alias):
            names.add(item.asname or item.name.split(".")[0])
        elif isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
            names.add(item.id)
        if not isinstance(item, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            stack.extend(ast.iter_child_nodes(item))
    return names


def free_names(text: str) -> set[str]:
    """The names that `text` reads from its module's globals and does not bind there; built-in names included.

    Raises SyntaxError if `text` does not compile.
    """
    with _only_syntax_errors():
        top = symtable.symtable(text, "<candidate>", "exec")
    bound = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    read: set[str] = set()
    stack = [top]
    while stack:
        scope = stack.pop()
        stack.extend(scope.get_children())
        read |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced() and (scope is top or symbol.is_global())
        }
    return read - bound


def is_future_import(node: ast.stmt) -> bool:
    """`from __future__ import ...`, which must stand before all other code."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def needed_statements(library: Module, statements: Sequence[ast.stmt], names: set[str]) -> list[ast.stmt]:
    """Those of `statements` (of `library`, module level) that bind `names`, or what those read in turn, in their order.

    A star import counts as binding whatever no other statement binds. Imports from the future come with any other.
    """
    bound = [bound_names(node) for node in statements]
    known = set(dir(builtins)).union(*bound)
    chosen: set[int] = set()
    wanted = set(names)
    grew = True
    while grew:
        grew = False
        for index, node in enumerate(statements):
            is_wanted = bool(bound[index] & wanted) or ("*" in bound[index] and not wanted <= known)
            if index not in chosen and is_wanted and not is_future_import(node):
                chosen.add(index)
                wanted |= free_names(library.statement(node))
                grew = True
    return [node for index, node in enumerate(statements) if index in chosen or (chosen and is_future_import(node))]
