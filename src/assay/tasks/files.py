"""Tasks from the user's own files: a folder, one file, or a class that is not in task form."""

import ast
import difflib
import re
from collections.abc import Sequence
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.records import Suite, Task
from assay.tasks.contract import (
    CONTRACT,
    check_contract,
    module_classes,
    needs_arguments,
    parse_source,
    read_source,
    top_level,
)
from assay.tasks.scaling import scale_task

INPUT_MAKERS = ("get_inputs", "example_inputs", "make_inputs")


def load_path(spec: str, scale: str = "default", input_shapes: str | None = None, known: Sequence[str] = ()) -> Suite:
    """The suite of a folder, of one task file, or of `FILE.py:Class`.

    A file that lacks an input maker but has a module class is taken as `FILE.py:Class` is, if the class is the only one
    or is called `Model`. input_shapes: see `task_from_module`.
    `known` are the names of the other suites, for the message where `spec` is neither a path nor one of them.
    """
    file_part, separator, class_name = spec.rpartition(":")
    if separator and file_part.endswith(".py"):
        return _suite_of_one(task_from_module(file_part, class_name, input_shapes), scale)
    path = Path(spec)
    if path.is_dir():
        if input_shapes is not None:
            raise UsageError(f"{spec}: input shapes are for one module. Name it: {path / 'FILE.py'}:Class")
        return load_folder(path, scale)
    if path.suffix == ".py":
        is_module = input_shapes is not None or _is_bare_module(path)
        task = task_from_module(path, None, input_shapes) if is_module else load_file(path)
        return _suite_of_one(task, scale)
    if path.exists():
        raise UsageError(f"{spec}: not a Python file. Name a .py task file or a folder of them.")
    similar = difflib.get_close_matches(spec, known, n=1)
    guess = f" Did you mean {similar[0]}?" if similar else ""
    raise UsageError(
        f"no suite and no path {spec!r}.{guess} Suites: {', '.join(known)}, a folder of .py task files, one .py file."
    )


def load_folder(path: Path, scale: str = "default") -> Suite:
    """The task files of a folder, by name; a file whose name starts with `_` or `.` is not a task."""
    files = sorted(file for file in path.glob("*.py") if file.name[0] not in "_.")
    if not files:
        raise UsageError(f"{path}: no .py task file in this folder. Name the folder that holds the task files.")
    return Suite(name=_suite_name(path), tasks=tuple(scale_task(load_file(file), scale) for file in files))


def load_file(path: Path) -> Task:
    """One task file. Its suite is the folder that it is in, so that it has one key however it is loaded."""
    source = read_source(path)
    check_contract(source, str(path))
    return Task(suite=_suite_name(path.parent), id=path.stem, name=path.stem, source=source)


def task_from_module(path: str | Path, class_name: str | None, input_shapes: str | None) -> Task:
    """A task from a Python file that is not in task form.

    class_name: any `nn.Module` class of the file; None where it has only one. It is renamed to `Model` in the copy.
    input_shapes: float32 normal inputs, "4x8,8x16" for two, which become the task's scale, as all sizes do; where None,
    the file's `get_inputs`, `example_inputs` or `make_inputs` function is used. Missing definitions are appended to the
    copy; the user's file is left as it is.
    """
    path = Path(path)
    source = read_source(path)
    tree = parse_source(source, str(path))
    chosen = _chosen_class(tree, class_name, path)
    appended = _input_maker(tree, input_shapes, chosen, path) + _init_maker(tree, chosen, path)
    renamed = _renamed(source, tree, chosen, path)
    contract = renamed.rstrip("\n") + "\n" + appended
    check_contract(contract, str(path))
    identity = path.stem if chosen == "Model" else f"{path.stem}.{chosen}"
    scale = "default" if input_shapes is None else input_shapes.replace(" ", "")
    return Task(suite=_suite_name(path.parent), id=identity, name=chosen, source=contract, scale=scale)


def _suite_of_one(task: Task, scale: str) -> Suite:
    if task.scale != "default" and scale != "default":
        raise UsageError(f"scale {scale}: the input shapes are given, so there is nothing to scale. Leave one out.")
    return Suite(name=task.suite, tasks=(scale_task(task, scale),))


def _is_bare_module(path: Path) -> bool:
    """A file with module classes that does not begin to be a task: no `Model`, or not both of a task's makers."""
    tree = parse_source(read_source(path), str(path))
    defined = top_level(tree)
    return bool(module_classes(tree)) and not all(name in defined for name in CONTRACT)


def _suite_name(folder: Path) -> str:
    # A prefix of its own, so that a folder called "starter" is never taken for the built-in suite.
    return f"files/{folder.resolve().name}"


def _chosen_class(tree: ast.Module, class_name: str | None, path: Path) -> str:
    classes = module_classes(tree)
    if class_name is not None:
        if isinstance(top_level(tree).get(class_name), ast.ClassDef):
            return class_name
        has = f"It has {', '.join(classes)}." if classes else "It has no nn.Module class."
        raise UsageError(f"{path}: no class {class_name!r}. {has}")
    if "Model" in classes:
        return "Model"
    if len(classes) != 1:
        found = f"{len(classes)} nn.Module classes ({', '.join(classes)})" if classes else "no nn.Module class"
        raise UsageError(f"{path}: {found}. Name the class to use: {path}:ClassName")
    return classes[0]


def _input_maker(tree: ast.Module, input_shapes: str | None, class_name: str, path: Path) -> str:
    if input_shapes is not None:
        tensors = ", ".join(f"torch.randn({', '.join(map(str, shape))})" for shape in _shapes(input_shapes))
        return f"\n\nimport torch\n\n\ndef get_inputs():\n    return [{tensors}]\n"
    defined = top_level(tree)
    for name in INPUT_MAKERS:
        maker = defined.get(name)
        if isinstance(maker, ast.FunctionDef):
            if needs_arguments(maker):
                raise UsageError(f"{path}: `{name}` needs arguments. Give them defaults, or give the input shapes.")
            if name == "get_inputs":
                return ""
            return (
                f"\n\ndef get_inputs():\n    made = {name}()\n"
                "    return list(made) if isinstance(made, (tuple, list)) else [made]\n"
            )
    raise UsageError(
        f"{path}: nothing says what {class_name} is called with. Define `def get_inputs()` that returns a list of "
        "example inputs, or give their shapes, as in --input-shapes 4x8,8x16"
    )


def _shapes(text: str) -> list[tuple[int, ...]]:
    shapes = []
    for part in text.replace(" ", "").split(","):
        if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", part):
            raise UsageError(
                f"input shape {part!r} is not understood. Write sizes joined by x and inputs by commas: 4x8,8x16"
            )
        shapes.append(tuple(int(size) for size in part.split("x")))
    return shapes


def _init_maker(tree: ast.Module, class_name: str, path: Path) -> str:
    defined = top_level(tree)
    if "get_init_inputs" in defined:
        return ""
    for node in getattr(defined[class_name], "body", ()):
        if isinstance(node, ast.FunctionDef) and node.name == "__init__" and needs_arguments(node, skip=1):
            raise UsageError(
                f"{path}: {class_name} is built with arguments. Define `def get_init_inputs()` that returns their list."
            )
    return "\n\ndef get_init_inputs():\n    return []\n"


def _renamed(source: str, tree: ast.Module, class_name: str, path: Path) -> str:
    """`source` with the class called `Model`, where names stand for it; comments and strings stay as they are."""
    if class_name == "Model":
        return source
    if any(isinstance(node, ast.Name) and node.id == "Model" for node in ast.walk(tree)) or "Model" in top_level(tree):
        raise UsageError(f"{path}: another `Model` is in the file. Rename it, since {class_name} must take that name.")
    places = [
        (node.lineno, node.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == class_name
    ]
    lines = source.encode().splitlines(keepends=True)  # ast columns count bytes
    definition = top_level(tree)[class_name]
    keyword = lines[definition.lineno - 1]
    places.append((definition.lineno, keyword.index(class_name.encode(), definition.col_offset + len("class"))))
    old = class_name.encode()
    for line, column in sorted(places, reverse=True):
        text = lines[line - 1]
        lines[line - 1] = text[:column] + b"Model" + text[column + len(old) :]
    return b"".join(lines).decode()
