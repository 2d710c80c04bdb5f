"""Programs that are their reference again: always right, never faster, and half of them "fast" to a rule of points.

A model that is rewarded for correct programs can learn to write nothing else.
"""

import ast

from assay.prompting.reference import CANDIDATE_CLASS, REFERENCE_CLASS
from assay.prompting.source import needed_statements, parse, tidy, without_docstrings


class ReferenceCode:
    """What the class `Model` of a reference consists of, its helpers and imports included.

    Nothing repeats a source that cannot be read.
    """

    def __init__(self, source: str) -> None:
        self._dumps, names = _code(source, REFERENCE_CLASS)
        self._names = sorted(names, key=len, reverse=True)

    def is_repeated_by(self, source: str) -> bool:
        """Whether `ModelNew` of `source` is the same code.

        Compared as syntax trees, so that comments and layout do not count, nor do docstrings, annotations of functions,
        the name of the class, and whether `super()` names it. False for a text that cannot be read.
        """
        if not all(name in source for name in self._names):  # quick, and enough for most programs
            return False
        dumps, _ = _code(source, CANDIDATE_CLASS)
        return bool(dumps) and dumps == self._dumps


class _Plain(ast.NodeTransformer):
    """Leaves out what may differ between repetitions, and calls the class `ModelNew`."""

    def __init__(self, class_name: str) -> None:
        self._class_name = class_name

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = CANDIDATE_CLASS if node.name == self._class_name else node.name
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = CANDIDATE_CLASS if node.id == self._class_name else node.id
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        named = node.args[0] if node.args and isinstance(node.func, ast.Name) and node.func.id == "super" else None
        if isinstance(named, ast.Name) and named.id == CANDIDATE_CLASS:
            node.args = []
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node


def _code(source: str, class_name: str) -> tuple[list[str], set[str]]:
    """The class and all module-level statements that it needs, in their order; the names in them.

    Nothing for a text that does not parse, or whose expressions are nested too deeply to be walked.
    """
    try:
        plain = _Plain(class_name).visit(parse(without_docstrings(tidy(source))).tree)
        module = parse(ast.unparse(plain))  # without annotations, so that what only they need is not needed
        code = needed_statements(module, module.tree.body, {CANDIDATE_CLASS})
        return [ast.dump(node) for node in code], {name for node in code for name in _names(node)}
    except (SyntaxError, RecursionError):
        return [], set()


def _names(node: ast.AST) -> set[str]:
    """Names that a repetition must spell too."""
    parts = list(ast.walk(node))
    names = {part.id for part in parts if isinstance(part, ast.Name)} - {CANDIDATE_CLASS}
    return names | {part.attr for part in parts if isinstance(part, ast.Attribute)}
