"""From a model's answer, a whole module that defines `ModelNew` and stands without the reference class.

An answer may lean on the reference: inherit from `Model`, or read imports, constants and helpers of its file. What it
leans on is copied in: the class is merged with the one it inherits from, and needed names are put before it.
"""

import ast
from collections.abc import Sequence

from assay.prompting.reference import (
    CANDIDATE_CLASS,
    NESTED_SCOPES,
    REFERENCE_CLASS,
    Reference,
    find_class,
    is_scaffold,
    rename_edits,
)
from assay.prompting.source import (
    Edit,
    Module,
    apply_edits,
    bound_names,
    check_compiles,
    end_line,
    first_line,
    free_names,
    header_end,
    is_docstring,
    is_future_import,
    line_edit,
    needed_statements,
    parse,
    reindent,
)

MEMBER_INDENT = 4


def independent_module(answer: Module, reference: Reference, libraries: Sequence[Module] = ()) -> str:
    """The answer as a module of its own. `answer` defines a class `ModelNew` at module level.

    Removes every class `Model`, the input makers and a main block. Names that are then missing are looked up in
    `libraries` (other pieces of the same answer), the last first, and then in the reference's file. Raises SyntaxError.
    """
    candidate = find_class(answer.tree.body, CANDIDATE_CLASS)
    if candidate is None:
        raise ValueError(f"the answer defines no class {CANDIDATE_CLASS}")
    edits: list[Edit] = []
    for node in answer.tree.body:
        is_stale_class = isinstance(node, ast.ClassDef) and node.name in (REFERENCE_CLASS, CANDIDATE_CLASS)
        if (is_stale_class and node is not candidate) or is_scaffold(node) or is_future_import(node):
            edits.append(line_edit(answer, node))
    if _inherits(candidate):
        edits.append(line_edit(answer, candidate, _merged_class(answer, candidate, reference) + "\n"))
    text = apply_edits(answer, edits).strip("\n") + "\n"
    future = [answer.statement(node) for node in answer.tree.body if is_future_import(node)]
    return _with_needed_names(text, future, reference, libraries)


def _with_needed_names(text: str, future: list[str], reference: Reference, libraries: Sequence[Module]) -> str:
    """`text` under the statements that bind the names it is missing, imports from the future first."""
    before: list[str] = []
    lenders = [(library, [node for node in library.tree.body if _may_lend(node)]) for library in reversed(libraries)]
    for module, statements in [*lenders, (reference.module, reference.others)]:
        needed = needed_statements(module, statements, free_names("\n".join([*before, text])))
        future += [module.statement(node) for node in needed if is_future_import(node)]
        before = [module.statement(node) for node in needed if not is_future_import(node)] + before
    head = "\n".join([*dict.fromkeys(future), *before])
    return f"{head}\n\n{text}" if head else text


def _may_lend(node: ast.stmt) -> bool:
    is_class = isinstance(node, ast.ClassDef) and node.name in (REFERENCE_CLASS, CANDIDATE_CLASS)
    return not is_class and not is_scaffold(node)


def problem(text: str) -> str | None:
    """What keeps `text` from being a candidate: "no_class", "no_forward", "no_return", or None.

    A forward that is assigned, or inherited from any class but `nn.Module`, is taken on trust. Raises SyntaxError.
    """
    check_compiles(text)
    candidate = find_class(parse(text).tree.body, CANDIDATE_CLASS)
    if candidate is None:
        return "no_class"
    for node in reversed(candidate.body):
        if "forward" in bound_names(node):
            is_empty = isinstance(node, ast.FunctionDef) and not has_return(node.body)
            return "no_return" if is_empty else None
    plain = {"nn.Module", "torch.nn.Module", "Module", "object"}
    return "no_forward" if {ast.unparse(base) for base in candidate.bases} <= plain else None


def has_return(statements: Sequence[ast.stmt]) -> bool:
    """A `return` stands among `statements` or in their branches and loops; those of nested functions do not count."""
    todo: list[ast.AST] = list(statements)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Return):
            return True
        if not isinstance(node, NESTED_SCOPES):
            todo.extend(ast.iter_child_nodes(node))
    return False


# -- merging with the class that an answer inherits from ---------------------------------------------------------


def _inherits(candidate: ast.ClassDef) -> bool:
    return any(_is_reference(base) for base in candidate.bases)


def _is_reference(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == REFERENCE_CLASS


def _merged_class(answer: Module, candidate: ast.ClassDef, reference: Reference) -> str:
    """`candidate` with what it inherits written into it; an answer's own class `Model` comes before the reference's."""
    own = find_class(answer.tree.body, REFERENCE_CLASS)
    text = answer.statement(own) if own else reference.module.statement(reference.model)
    parent_module, parent = _alone(text)
    parent_module, parent = _alone(apply_edits(parent_module, rename_edits(parent_module, parent)))
    child_module, child = _alone(answer.statement(candidate))

    overridden: set[str] = set().union(*(bound_names(node) for node in child.body))
    methods = {node.name: node for node in parent.body if isinstance(node, ast.FunctionDef)}
    inheritable: set[str] = set().union(*(bound_names(node) for node in parent.body)) - (overridden - set(methods))
    edits, kept = _parent_access_edits(child_module, child, inheritable, overridden)
    child_module, child = _alone(apply_edits(child_module, edits))
    names = [_name_edit(parent_module, methods[name], _kept_name(name)) for name in sorted(kept)]
    parent_module, parent = _alone(apply_edits(parent_module, names))

    bases = [ast.unparse(base) for base in parent.bases]
    bases += [ast.unparse(base) for base in child.bases if not _is_reference(base)]
    header = "".join(f"@{ast.unparse(decorator)}\n" for decorator in child.decorator_list)
    header += f"class {CANDIDATE_CLASS}({', '.join(dict.fromkeys(bases))}):\n"
    inherited = [
        text
        for node, text in _members(parent_module, parent)
        if not (bound_names(node) & overridden or is_docstring(node))
    ]
    return header + "\n\n".join([*inherited, *(text for _, text in _members(child_module, child))])


def _alone(text: str) -> tuple[Module, ast.ClassDef]:
    module = parse(text)
    node = module.tree.body[0]
    assert isinstance(node, ast.ClassDef)
    return module, node


def _members(module: Module, node: ast.ClassDef) -> list[tuple[ast.stmt, str]]:
    """The statements of a class with their text, comments above them included, at one indentation."""
    members: list[tuple[ast.stmt, str]] = []
    previous = module.data[: header_end(module, node)].count(b"\n") + 1
    for member in node.body:
        text = module.statement(member)
        if previous < first_line(member) and text.startswith(" "):
            text = module.lines(previous + 1, end_line(member)).strip("\n")
        members.append((member, reindent(text, MEMBER_INDENT)))
        previous = end_line(member)
    return members


def _parent_access_edits(
    module: Module, child: ast.ClassDef, inheritable: set[str], overridden: set[str]
) -> tuple[list[Edit], set[str]]:
    """Edits that point `super().name` and `Model.name` at the merged class, and the parent's methods kept for them.

    A method that the child overrides is kept beside it under another name, except `forward`: a candidate that calls the
    forward of the reference is left with a call that fails, as it is where only a body was asked for.
    """
    edits: list[Edit] = []
    kept: set[str] = set()
    for method in child.body:
        if not isinstance(method, ast.FunctionDef) or not method.args.args:
            continue
        for node in ast.walk(method):
            if not isinstance(node, ast.Attribute) or node.attr not in inheritable or node.attr == "forward":
                continue
            if not (_is_reference(node.value) or _is_super(node.value)):
                continue
            owner = CANDIDATE_CLASS if _is_reference(node.value) else method.args.args[0].arg
            name = _kept_name(node.attr) if node.attr in overridden else node.attr
            kept |= {node.attr} & overridden
            start = module.offset(node.lineno, node.col_offset)
            edits.append(Edit(start, module.offset(end_line(node), node.end_col_offset or 0), f"{owner}.{name}"))
    return edits, kept


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _kept_name(method: str) -> str:
    return f"_inherited_{method.strip('_')}"


def _name_edit(module: Module, method: ast.FunctionDef, name: str) -> Edit:
    start = module.offset(method.lineno, method.col_offset) + len("def")
    start = module.data.index(method.name.encode(), start)
    return Edit(start, start + len(method.name.encode()), name)
