"""The data files of prompts: system prompts and worked examples, built in or the user's own."""

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from assay.core.errors import UsageError
from assay.core.records import Task
from assay.prompting.reference import Reference, read_reference


@dataclass(frozen=True)
class Example:
    """A reference with an answer to it: a body of `forward`, and a whole file where the example gives one."""

    reference: Reference
    body: str | None
    module: str | None


def read_text(path: Path | None, builtin: str, what: str) -> str:
    """The text of the user's file, or of the built-in one if there is none. Raises UsageError if it cannot be read."""
    try:
        if path is None:
            return resources.files("assay.prompting").joinpath("data", builtin).read_text(encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{what} {path}: {error}; give a readable text file in UTF-8") from error


def read_examples(path: Path | Literal["builtin"] | None) -> tuple[Example, ...]:
    """The examples of a file, in order; none for None. Raises UsageError if the file or an example is malformed."""
    if path is None:
        return ()
    text = read_text(None if path == "builtin" else Path(path), "examples.toml", "examples")
    try:
        entries = tomllib.loads(text).get("example", [])
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"examples {path}: {error}; write them as TOML tables [[example]]") from error
    if not isinstance(entries, list) or not entries:
        raise UsageError(f"examples {path}: no table [[example]]; give at least one with reference and body")
    return tuple(_example(entry, f"{path} #{number}") for number, entry in enumerate(entries, start=1))


def _example(entry: Any, where: str) -> Example:
    if not isinstance(entry, dict) or not {"reference", "body"} <= set(entry) <= {"reference", "body", "module"}:
        raise UsageError(f"example {where}: has to hold reference and body, may hold module, and nothing else")
    if not all(isinstance(value, str) for value in entry.values()):
        raise UsageError(f"example {where}: its values have to be strings")
    reference = read_reference(Task(suite="examples", id=where, name=where, source=entry["reference"].strip("\n")))
    body = entry["body"].strip("\n")
    try:
        module = reference.with_body(body)
    except SyntaxError as error:
        raise UsageError(f"example {where}: its body does not parse ({error.msg})") from error
    return Example(reference, body, entry.get("module", module))
