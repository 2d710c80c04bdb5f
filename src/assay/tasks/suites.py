"""Suites by name: the built-in one, KernelBench, a folder of task files, one file; and choosing tasks of a suite."""

import difflib
from collections.abc import Sequence

from assay.core.errors import UsageError
from assay.core.records import Suite
from assay.tasks.files import load_path
from assay.tasks.kernelbench import LEVELS, load_kernelbench
from assay.tasks.starter_suite import starter_suite

KNOWN = ("starter", *(f"kernelbench/{level}" for level in LEVELS))


def load_suite(spec: str, scale: str = "default", input_shapes: str | None = None) -> Suite:
    """The suite that `spec` names, at the input sizes that `scale` names.

    spec: `starter`; `kernelbench/1` .. `/4`; a folder of .py task files; one .py file; `FILE.py:Class` for a module
    that is not in task form. A file without input makers is taken for a module too.
    input_shapes: "4x8,8x16", float32 normal inputs for a module of the user's own, which also become its scale.
    scale: `default`, which is CPU sizes for `starter` and the written sizes for all others; `gpu` for `starter`;
    `small`, which is CPU sizes, for all others.
    Nothing of a task is executed. Raises `UsageError` for everything that cannot be loaded.
    """
    if input_shapes is not None and (spec == "starter" or spec in KNOWN):
        raise UsageError(f"suite {spec}: its tasks make their own inputs. Give shapes only for a module of your own.")
    if spec == "starter":
        return starter_suite(scale)
    if spec in KNOWN:
        return load_kernelbench(int(spec.removeprefix("kernelbench/")), scale)
    if spec.startswith("kernelbench"):
        raise UsageError(f"no suite {spec!r}: KernelBench has levels 1 to 4. Write kernelbench/1 .. kernelbench/4.")
    return load_path(spec, scale, input_shapes, known=KNOWN)


def select_tasks(suite: Suite, ids: Sequence[str] | None, limit: int | None, offset: int = 0) -> Suite:
    """The tasks of `suite` with the given ids (all, where None), less the first `offset`, at most `limit`.

    The order is the suite's. Raises `UsageError` for an unknown id, naming similar ones, and for an empty result.
    """
    if offset < 0 or (limit is not None and limit < 1):
        raise UsageError(f"limit {limit}, offset {offset}: a limit is at least 1 and an offset at least 0.")
    present = [task.id for task in suite.tasks]
    for wanted in ids or ():
        if wanted not in present:
            raise UsageError(f"suite {suite.name}: no task {wanted!r}. {_suggestion(wanted, present)}")
    chosen = [task for task in suite.tasks if ids is None or task.id in ids]
    chosen = chosen[offset:][:limit]
    if not chosen:
        raise UsageError(
            f"suite {suite.name}: no task is left of {len(present)} with offset {offset}. Lower the offset."
        )
    return Suite(name=suite.name, tasks=tuple(chosen))


def _suggestion(wanted: str, present: list[str]) -> str:
    stripped = wanted.lstrip("0")
    similar = [stripped] if stripped in present else difflib.get_close_matches(wanted, present, n=3, cutoff=0.5)
    if similar:
        return f"Did you mean {' or '.join(similar)}?"
    shown = present if len(present) <= 12 else [*present[:5], "...", *present[-2:]]
    return f"It has {', '.join(shown)}."
