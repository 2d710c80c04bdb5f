"""What a task file must hold, checked on its syntax tree: nothing of it is ever executed here."""

import ast
import re
from pathlib import Path

from assay.core.errors import UsageError

CONTRACT = ("Model", "get_inputs", "get_init_inputs")


def read_source(path: Path) -> str:
    """The text of a Python file; `UsageError` where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file. Check the path.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start}). Save the file as UTF-8.") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}). Name a readable .py file.") from None


def parse_source(source: str, label: str) -> ast.Module:
    """The syntax tree of `source`; `label` names it in the `UsageError` for a syntax error."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise UsageError(f"{label}, line {error.lineno}: {error.msg}. Correct the file and try again.") from None
    except ValueError as error:  # Python 3.11 says so of null bytes
        raise UsageError(f"{label}: {error}. Correct the file and try again.") from None


def top_level(tree: ast.Module) -> dict[str, ast.stmt]:
    """Names of the classes and functions defined at module level, with their (last) definitions."""
    definitions = (ast.ClassDef, ast.FunctionDef)
    return {node.name: node for node in tree.body if isinstance(node, definitions)}


def check_contract(source: str, label: str) -> None:
    """Raises `UsageError` unless `source` is a task: `class Model`, `def get_inputs()`, `def get_init_inputs()`."""
    tree = parse_source(source, label)
    defined = top_level(tree)
    missing = [name for name in CONTRACT if name not in defined]
    if missing:
        classes = module_classes(tree)
        hint = f" To use a class that is not in this form, name it: {Path(label).name}:{classes[0]}" if classes else ""
        raise UsageError(
            f"{label}: no {' and no '.join(f'`{name}`' for name in missing)} at the top level. A task file defines "
            f"`class Model(nn.Module)`, `def get_inputs()` and `def get_init_inputs()`.{hint}"
        )
    if not isinstance(defined["Model"], ast.ClassDef):
        raise UsageError(f"{label}: `Model` is not a class. A task file defines `class Model(nn.Module)`.")
    for name in CONTRACT[1:]:
        maker = defined[name]
        if not isinstance(maker, ast.FunctionDef) or needs_arguments(maker):
            raise UsageError(f"{label}: `{name}` must be a function that is called without arguments.")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise UsageError(
                f"{label}, line {node.lineno}: relative import. A task is one file that stands alone; "
                "copy what it needs into the file, or import an installed package."
            )


def needs_arguments(function: ast.FunctionDef, skip: int = 0) -> bool:
    """True if a call must give arguments; `skip` leading ones (self) are given by the call itself."""
    arguments = function.args
    positional = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults) - skip
    return positional > 0 or any(default is None for default in arguments.kw_defaults)


def module_classes(tree: ast.Module) -> list[str]:
    """Names of the top-level classes that derive from `nn.Module`, also by way of another class of the file."""
    found: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            if any(re.fullmatch(r"(torch\.)?(nn\.)?Module", base) or base in found for base in bases):
                found.append(node.name)
    return found
