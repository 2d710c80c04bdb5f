"""The built-in suite: our own tasks in KernelBench form, and what is known of each of them.

The tasks are files under `starter/`. Beside them, never shown to a model: `suite.toml` (order, kind, headroom, GPU
sizes) and `solutions/ID/` with a fast program and plausible wrong ones, for testing an evaluator. A fast program that
needs C++ takes contiguous float32 CPU tensors.
"""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field

from assay.core.errors import UsageError
from assay.core.records import Record, Suite, Task
from assay.tasks.constants import set_constants
from assay.tasks.contract import read_source

FOLDER = Path(__file__).parent / "starter"
SCALES = ("default", "gpu")


class StarterFacts(Record):
    """What is known of a starter task.

    headroom: a clearly faster program exists; needs: what that program takes, plain PyTorch or compiled C++;
    gpu: the values of the size constants that make the task large enough for a GPU.
    """

    kind: str
    headroom: bool
    needs: Literal["torch", "cpp"] = "torch"
    gpu: dict[str, int] = Field(min_length=1)


class Solutions(Record):
    """Whole modules that define `ModelNew`: the known fast one (None without headroom), and wrong ones."""

    fast: str | None
    wrong: tuple[str, ...]


def starter_ids() -> tuple[str, ...]:
    """Ids of the starter tasks in the order of the suite."""
    return tuple(_facts())


def starter_facts(task_id: str) -> StarterFacts:
    """What is known of one starter task; `UsageError` for an unknown id."""
    facts = _facts()
    if task_id not in facts:
        raise UsageError(f"suite starter: no task {task_id!r}. See the list with: assay tasks starter")
    return facts[task_id]


def starter_tasks(scale: str = "default") -> tuple[Task, ...]:
    """All starter tasks in order; scale `default` has CPU sizes, `gpu` has GPU sizes."""
    if scale not in SCALES:
        raise UsageError(f"suite starter: no scale {scale!r}. It has {' and '.join(SCALES)}; default is for a CPU.")
    tasks = []
    for task_id, facts in _facts().items():
        source = read_source(FOLDER / f"{task_id}.py")
        if scale == "gpu":
            source = set_constants(source, facts.gpu)
        tasks.append(Task(suite="starter", id=task_id, name=task_id, source=source, scale=scale))
    return tuple(tasks)


def starter_suite(scale: str = "default") -> Suite:
    """The built-in suite."""
    return Suite(name="starter", tasks=starter_tasks(scale))


def solutions(task_id: str) -> Solutions:
    """The known programs for one starter task; `UsageError` for an unknown id."""
    facts = starter_facts(task_id)
    folder = FOLDER / "solutions" / task_id
    wrong = tuple(read_source(path) for path in sorted(folder.glob("wrong_*.py")))
    return Solutions(fast=read_source(folder / "fast.py") if facts.headroom else None, wrong=wrong)


def _facts() -> dict[str, StarterFacts]:
    """The sidecar, in its own order, which is the order of the suite."""
    document = tomllib.loads(read_source(FOLDER / "suite.toml"))
    return {task_id: StarterFacts.model_validate(entry) for task_id, entry in document.items()}
