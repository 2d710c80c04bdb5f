"""The built-in suite: our own tasks in KernelBench form, and what is known of each of them.

The tasks are files under `starter/`. Beside them, never shown to a model: `suite.toml` (order, kind, headroom, GPU
sizes) and `solutions/ID/`, for testing an evaluator: `fast.py` and plausible wrong programs `wrong_N.py`; for a GPU
also `fast_triton.py` or `fast_cuda.py`. A `fast.py` in plain PyTorch runs on every device, one in C++ only on a CPU; a
compiled program takes float32 tensors.
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
GpuForm = Literal["torch", "triton", "cuda"]
_COMPILED: tuple[GpuForm, ...] = ("triton", "cuda")


class StarterFacts(Record):
    """What is known of a starter task.

    headroom: a clearly faster program exists; needs: what that program takes on a CPU, plain PyTorch or compiled C++
    (a GPU then needs Triton or CUDA); gpu: the values of the size constants that make the task large enough for a GPU.
    """

    kind: str
    headroom: bool
    needs: Literal["torch", "cpp"] = "torch"
    gpu: dict[str, int] = Field(min_length=1)


class Solutions(Record):
    """Whole modules that define `ModelNew`.

    fast: the known fast one on a CPU, None without headroom; fast_on_gpu: those for a GPU by what they are written in,
    empty without headroom; wrong: those that run on every device, at every scale, and compute something else.
    """

    fast: str | None
    fast_on_gpu: dict[GpuForm, str]
    wrong: tuple[str, ...]


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
    fast = read_source(folder / "fast.py") if facts.headroom else None
    on_gpu: dict[GpuForm, str] = {}
    if fast is not None and facts.needs == "torch":
        on_gpu["torch"] = fast
    for form in _COMPILED:
        if (path := folder / f"fast_{form}.py").exists():
            on_gpu[form] = read_source(path)
    wrong = tuple(read_source(path) for path in sorted(folder.glob("wrong_*.py")))
    return Solutions(fast=fast, fast_on_gpu=on_gpu, wrong=wrong)


def _facts() -> dict[str, StarterFacts]:
    """The sidecar, in its own order, which is the order of the suite."""
    document = tomllib.loads(read_source(FOLDER / "suite.toml"))
    return {task_id: StarterFacts.model_validate(entry) for task_id, entry in document.items()}
