"""Where output goes: results on stdout, everything else on stderr; colours and boxes only on a terminal."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from assay.core.environment import redacted


def results() -> Console:
    """The console for results."""
    return Console(highlight=False)


def notes() -> Console:
    """The console for everything else."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """A line for the person who waits."""
    console = notes()
    console.print(Text(text), soft_wrap=not console.is_terminal)


def say_error(text: str) -> None:
    """What went wrong, in red."""
    console = notes()
    console.print(Text.assemble(("error: ", "bold red"), (redacted(text), "red")), soft_wrap=not console.is_terminal)


def print_text(text: str) -> None:
    """Lines of the result; wrapped at words on a terminal, left as they are elsewhere."""
    console = results()
    console.print(Text(text), soft_wrap=not console.is_terminal)


def print_json(document: Any) -> None:
    """The one JSON document of a command; records become objects, and numbers are finite."""
    plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
    sys.stdout.write(json.dumps(plain, indent=2, allow_nan=False) + "\n")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Iterable[str] = (),
    wrapped: Iterable[str] | None = None,
) -> None:
    """A table of texts. right: columns aligned on the right. wrapped: those that may take more lines; default: all."""
    aligned, texts = set(right), [tuple(row) for row in rows]
    if not sys.stdout.isatty():
        _print_plain(title, columns, texts, aligned)
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        is_fixed = wrapped is not None and column not in wrapped
        table.add_column(column, justify="right" if column in aligned else "left", no_wrap=is_fixed)
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    results().print(table)


def _print_plain(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], aligned: set[str]) -> None:
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    sys.stdout.write(f"{title}\n")
    for row in (columns, *rows):
        cells = zip(row, columns, widths, strict=True)
        padded = [cell.rjust(width) if column in aligned else cell.ljust(width) for cell, column, width in cells]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
