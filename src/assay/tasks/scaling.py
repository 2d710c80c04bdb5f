"""Other input sizes for a task, by rewriting its module-level integer constants in place.

`small` is for running tasks that were written for a large GPU on a CPU. It is a function of the source alone, never of
this machine:

1. Constants that shape the computation (kernel sizes, strides, heads, groups, ...) and all values <= 16 stay.
2. The others are capped, batch sizes first, until the tensors that `get_inputs` makes have no more elements than the
   budget of the kind of work that the source does.
3. Equal values stay equal (batches below 4096 excepted), a power of two stays one, odd * 2^j keeps its odd factor where
   it can, and 4095 goes the way 4096 goes, less one: so divisibility and deliberate misalignment survive.

A constant that only a class body repeats as a literal can still make a scaled task fail: `check_runs` says so.
"""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from assay.core.errors import UsageError
from assay.core.records import Task
from assay.tasks.constants import Constant, constants, input_elements, replaced

SCALES = ("default", "small")

SMALLEST_CAPPED = 16
SHARED_SIZE = 4096
FIXED_SIZES = (224, 240)  # image sizes that classifiers repeat inside their classes
STRUCTURAL = re.compile(
    r"kernel|stride|pad|dilation|pool|head|window|patch|layers$|stage|repeat|ratio|state|block_len|^dim$|reduce|seed",
    re.IGNORECASE,
)
BATCH = re.compile(r"batch|^b$|^bs$", re.IGNORECASE)
GROUPS = re.compile(r"group", re.IGNORECASE)

# Input elements (float32: 4 bytes each) that keep the reference in the range of 1 to 20 ms on one CPU core, by the most
# expensive operation that the source names; the second figure caps every constant, because weights are not inputs.
WORK = (
    (re.compile(r"from_pretrained"), 2**9, 1024),  # inputs are tokens
    (re.compile(r"LSTM|GRU|RNN|rnn"), 2**16, 512),
    (re.compile(r"ConvTranspose3d"), 2**16, 1024),
    (re.compile(r"Conv3d|ConvTranspose2d|[Aa]ttention"), 2**17, 1024),
    (re.compile(r"[Cc]onv"), 2**18, 1024),
    (re.compile(r"matmul|einsum|bmm|[Ll]inear|\bmm\b|@|[Pp]ool"), 2**19, 1024),
)
LIGHT_WORK = (2**21, 2**20)


def scale_task(task: Task, scale: str) -> Task:
    """`task` at another scale: `default` leaves it, `small` makes it fit for a CPU. `UsageError` for other scales."""
    if scale == "default":
        return task
    if scale == "small":
        return task.model_copy(update={"source": small_source(task.source), "scale": scale})
    raise UsageError(f"suite {task.suite}: no scale {scale!r}. It has {' and '.join(SCALES)}.")


def small_source(source: str) -> str:
    """`source` at sizes for one CPU core, by the rule in the module docstring."""
    found = constants(source)
    budget, size_cap = _budget(source)
    batch_cap = max((constant.value for constant in found), default=1)
    scaled = replaced(source, _capped(found, batch_cap, size_cap))
    elements = input_elements(scaled)
    for step in _steps(size_cap, source):
        if elements is not None and elements <= budget:
            break
        caps = (step.batch or batch_cap, step.size or size_cap)
        attempt = replaced(source, _capped(found, *caps))
        fewer = input_elements(attempt)
        if step.size and elements is not None and fewer == elements:
            continue  # the inputs do not depend on these constants, so nothing is gained by changing them
        (batch_cap, size_cap), scaled, elements = caps, attempt, fewer
    return scaled


def check_runs(task: Task) -> float:
    """Builds the reference and calls it once on its own inputs on the CPU; returns the seconds of that call.

    For suites that the user trusts: the task's code runs in this process. `UsageError` where it fails.
    """
    import torch  # loading tasks must not need it

    namespace: dict[str, object] = {"__name__": f"task_{task.hash}"}
    torch.manual_seed(0)
    try:
        exec(compile(task.source, task.key, "exec"), namespace)
        model = namespace["Model"](*namespace["get_init_inputs"]())  # type: ignore[operator]
        inputs = namespace["get_inputs"]()  # type: ignore[operator]
        with torch.no_grad():
            start = time.perf_counter()
            model(*inputs)
            return time.perf_counter() - start
    except Exception as error:  # the boundary to a program that may fail in any way
        raise UsageError(f"task {task.key} does not run: {type(error).__name__}: {error}") from error


# -- the rule for small sizes ------------------------------------------------------------------------------------


def _budget(source: str) -> tuple[int, int]:
    """(input elements, largest constant) for the kind of work that `source` does."""
    return next(((elements, cap) for pattern, elements, cap in WORK if pattern.search(source)), LIGHT_WORK)


@dataclass(frozen=True)
class _Step:
    """One lower cap, on batch sizes or on the other sizes."""

    batch: int | None = None
    size: int | None = None


def _steps(size_cap: int, source: str) -> Iterator[_Step]:
    """From mild to hard: batches to 16, sizes to 512, batches to 2, sizes to 64, batches to 1, sizes to 16."""
    sizes = [2**power for power in range(20, 5, -1) if 2**power < size_cap]
    yield from (_Step(batch=cap) for cap in (1024, 256, 64, 16))
    yield from (_Step(size=cap) for cap in sizes if cap >= 512)
    yield from (_Step(batch=cap) for cap in (8, 4, 2))
    yield from (_Step(size=cap) for cap in sizes if 64 <= cap < 512)
    if "BatchNorm" not in source:  # in training mode it refuses a single value
        yield _Step(batch=1)
    if "LayerNorm" not in source:  # where it normalises a spatial axis, ratios of small sizes matter
        yield from (_Step(size=cap) for cap in (32, SMALLEST_CAPPED))


def _capped(found: list[Constant], batch_cap: int, size_cap: int) -> dict[Constant, int]:
    """What each constant becomes; structural ones are left out."""
    sizes = {c.value for c in found if not BATCH.search(c.name) and not STRUCTURAL.search(c.name)}
    chosen: dict[Constant, int] = {}
    for constant in found:
        # Large batches are sometimes broadcast against a size that they happen to equal.
        is_shared = constant.value >= SHARED_SIZE and constant.value in sizes
        is_batch = bool(BATCH.search(constant.name)) and not is_shared
        if is_batch or is_shared or not STRUCTURAL.search(constant.name):
            chosen[constant] = _lowered(constant.value, batch_cap if is_batch else size_cap, is_batch)
    for constant in found:
        if GROUPS.search(constant.name):  # keep the members of a group as many as they were
            members = [
                c.value // n
                for c, n in chosen.items()
                if c.value > constant.value and c.value % constant.value == 0 and not BATCH.search(c.name)
            ]
            is_kept = constant.value <= SMALLEST_CAPPED
            chosen[constant] = constant.value if is_kept else max(1, constant.value // max(members, default=1))
    return chosen


def _lowered(value: int, cap: int, is_batch: bool) -> int:
    """The size that `value` becomes under `cap`; by powers of two, except for batches, which nothing must divide."""
    if value <= cap:
        return value
    if is_batch:
        return cap
    if value in FIXED_SIZES or value <= SMALLEST_CAPPED:
        return value
    odd = value // (value & -value)
    if odd <= cap // 8 or odd <= 7:
        lowered = value
        while lowered > cap and lowered % 2 == 0:
            lowered //= 2
        return lowered
    nearest = 2 ** round(math.log2(value))
    if abs(value - nearest) <= 16:
        return cap + value - nearest
    halvings = math.ceil(math.log2(value / cap))
    return (value >> halvings) | (value & 1)
