"""A task's reference program as the text that prompts show and that candidates are assembled from."""

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from assay.core.errors import UsageError
from assay.core.records import Task
from assay.prompting.source import (
    Edit,
    Module,
    apply_edits,
    end_line,
    free_names,
    header_end,
    line_edit,
    needed_statements,
    parse,
    reindent,
    tidy,
    without_docstrings,
)

REFERENCE_CLASS = "Model"
CANDIDATE_CLASS = "ModelNew"
INPUT_MAKERS = ("get_inputs", "get_init_inputs")
NESTED_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True)
class Reference:
    """A parsed reference program, its class and that class's `forward`."""

    module: Module
    model: ast.ClassDef
    forward: ast.FunctionDef

    @property
    def others(self) -> list[ast.stmt]:
        """The module-level statements that a candidate may need: not the class, the input makers and a main block."""
        return [node for node in self.module.tree.body if node is not self.model and not is_scaffold(node)]

    @property
    def imports(self) -> list[str]:
        """The text of each module-level import, in order."""
        nodes = [node for node in self.module.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        return [self.module.statement(node) for node in nodes]

    @property
    def signature_end_line(self) -> int:
        """The line on which the header of `forward` ends."""
        return self.module.data[: header_end(self.module, self.forward)].count(b"\n") + 1

    @property
    def body_indent(self) -> int:
        """The column at which the statements of `forward` stand."""
        first = self.forward.body[0]
        return first.col_offset if first.lineno > self.signature_end_line else self.forward.col_offset + 4

    @property
    def signature(self) -> str:
        """The `def forward(...)` header with its indentation, up to its colon."""
        start = self.module.offset(self.forward.lineno, 0)
        return self.module.slice(start, header_end(self.module, self.forward))

    @property
    def _forward_end(self) -> int:
        return self.module.line_end(end_line(self.forward))

    def shown_class(self) -> str:
        """The imports, the module's names that the class reads, and the class, without docstrings."""
        needed = needed_statements(self.module, self.others, free_names(self.module.statement(self.model)))
        parts = [self.module.statement(node) for node in needed if not isinstance(node, ast.Import | ast.ImportFrom)]
        blocks = ["\n".join(self.imports), *parts, self.module.statement(self.model)]
        return without_docstrings("\n\n".join(block for block in blocks if block)).strip("\n")

    def shown_file(self) -> str:
        """The whole program without docstrings; input makers and constants stay, as a kernel is written for sizes."""
        return without_docstrings(self.module.text).strip("\n")

    def with_body(self, body: str) -> str:
        """The program with its class renamed to `ModelNew`, its `forward` holding the statements `body`.

        Imports, constants and helpers stay; the input makers go. `body` may be indented in any way.
        Raises SyntaxError if `body` does not parse.
        """
        start = header_end(self.module, self.forward)
        body = "\n" + reindent(body, self.body_indent)
        edits = [
            Edit(start, self._forward_end, body),
            *self._dropped_scaffold(),
            *rename_edits(self.module, self.model),
        ]
        return apply_edits(self.module, edits).strip("\n") + "\n"

    def _dropped_scaffold(self) -> list[Edit]:
        return [line_edit(self.module, node) for node in self.module.tree.body if is_scaffold(node)]


def read_reference(task: Task) -> Reference:
    """The reference of `task`. Raises UsageError if it has no class `Model` with a `forward` method."""
    try:
        return _read_reference(task.source)
    except SyntaxError as error:
        raise UsageError(
            f"task {task.key!r}: {error}; its file must define a class {REFERENCE_CLASS} with a method forward"
        ) from error


@lru_cache(maxsize=128)
def _read_reference(source: str) -> Reference:
    module = parse(tidy(source))
    model = find_class(module.tree.body, REFERENCE_CLASS)
    if model is None:
        raise SyntaxError(f"the reference has no class {REFERENCE_CLASS}")
    for node in model.body:
        if isinstance(node, ast.FunctionDef) and node.name == "forward":
            return Reference(module, model, node)
    raise SyntaxError(f"the class {REFERENCE_CLASS} of the reference has no method forward")


def find_class(statements: Iterable[ast.stmt], name: str) -> ast.ClassDef | None:
    """The last class called `name` among `statements`, which is the one that Python would use."""
    found = [node for node in statements if isinstance(node, ast.ClassDef) and node.name == name]
    return found[-1] if found else None


def is_scaffold(node: ast.stmt) -> bool:
    """A statement that a candidate has no use for: an input maker, or the block that runs a file as a program."""
    if isinstance(node, ast.FunctionDef):
        return node.name in INPUT_MAKERS
    if not isinstance(node, ast.If):
        return False
    return any(isinstance(item, ast.Name) and item.id == "__name__" for item in ast.walk(node.test))


def rename_edits(module: Module, model: ast.ClassDef) -> list[Edit]:
    """Edits that rename the class `Model`, and what names it, to `ModelNew`; `super(Model, self)` becomes `super()`."""
    at = module.offset(model.lineno, model.col_offset)
    at = module.data.index(REFERENCE_CLASS.encode(), at + len("class"))
    edits = [Edit(at, at + len(REFERENCE_CLASS), CANDIDATE_CLASS)]
    edits += [_span(module, call, "super()") for call in _long_supers(model)]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and node.id == REFERENCE_CLASS:
            edits.append(_span(module, node, CANDIDATE_CLASS))
    return edits


def _span(module: Module, node: ast.expr, text: str) -> Edit:
    start = module.offset(node.lineno, node.col_offset)
    return Edit(start, module.offset(end_line(node), node.end_col_offset or 0), text)


def _long_supers(model: ast.ClassDef) -> list[ast.Call]:
    """The calls `super(Model, self)` made straight from a method; in a nested scope the short form would not work."""
    calls: list[ast.Call] = []
    for method in model.body:
        if not isinstance(method, ast.FunctionDef) or not method.args.args:
            continue
        todo: list[ast.AST] = list(method.body)
        while todo:
            node = todo.pop()
            if isinstance(node, NESTED_SCOPES):
                continue
            todo.extend(ast.iter_child_nodes(node))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
                names = [argument.id for argument in node.args if isinstance(argument, ast.Name)]
                if names == [REFERENCE_CLASS, method.args.args[0].arg]:
                    calls.append(node)
    return calls
