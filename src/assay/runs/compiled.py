"""How much faster `torch.compile` makes a reference: what a kernel has to beat before it is worth keeping.

The judge's runners may not start the compilers that a first call of a compiled module needs, so this is measured apart:
the task's own source, which the user trusts, in fresh processes without a sandbox; in each, pairs of one eager and one
compiled call in random order on fresh copies of the inputs, after both have been warmed up. A process gives the median
log ratio of its pairs; the interval is Student's t over processes, since they differ by more than pairs within one.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from assay.core.records import Record, Speedup, Task
from assay.stats.intervals import t_interval

PROCESSES = 4
PAIRS = 20
TIMEOUT_S = 300.0
LEVEL = 0.95


class Compiled(Record):
    """Eager time over compiled time, with its interval; ratio None where it could not be measured, and why not."""

    ratio: float | None
    low: float | None
    high: float | None
    processes: int
    problem: str = ""


class OverCompiled(Record):
    """A program's speedup over the compiled reference: its speedup over eager by that of compiling.

    low, high: from the far ends of both intervals, so that this one holds whenever both of them do.
    """

    ratio: float
    low: float
    high: float


def measure_compiled(
    task: Task, device: str, threads: int = 1, processes: int = PROCESSES, timeout_s: float = TIMEOUT_S
) -> Compiled:
    """`torch.compile` of the task's model against the model as it is, on `device` ("cpu" or "cuda:N").

    Never raises for what compiling does; a machine without a compiler gives a `problem`.
    """
    logs: list[float] = []
    for number in range(processes):
        request = {"source": task.source, "device": device, "threads": threads, "pairs": PAIRS, "seed": number}
        found = _ask(request, timeout_s)
        if isinstance(found, str):
            return Compiled(ratio=None, low=None, high=None, processes=len(logs), problem=found)
        logs.append(found)
    return _over_processes(logs)


def over_compiled(winner: Speedup, compiled: Compiled) -> OverCompiled | None:
    """None where compiling was not measured with an interval."""
    if compiled.ratio is None or compiled.low is None or compiled.high is None:
        return None
    return OverCompiled(
        ratio=winner.ratio / compiled.ratio, low=winner.low / compiled.high, high=winner.high / compiled.low
    )


def _over_processes(logs: Sequence[float]) -> Compiled:
    found = t_interval(logs, LEVEL)
    if found is None:
        return Compiled(ratio=None, low=None, high=None, processes=0, problem="no process was asked")
    interval = found.interval
    return Compiled(
        ratio=float(np.exp(found.mean)),
        low=None if interval is None else float(np.exp(interval.low)),
        high=None if interval is None else float(np.exp(interval.high)),
        processes=len(logs),
    )


def _ask(request: dict[str, object], timeout_s: float) -> float | str:
    """The median log ratio of one fresh process, or why there is none."""
    command = [sys.executable, "-m", "assay.runs.compiled_worker"]
    try:
        done = subprocess.run(command, input=json.dumps(request), capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return f"compiling took longer than {timeout_s:.0f} s"
    except OSError as error:
        return f"no process could be started ({error})"
    last = done.stdout.strip().rpartition("\n")[2]
    try:
        reply = json.loads(last)
        return float(reply["log_ratio"]) if "log_ratio" in reply else str(reply["problem"])
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().rpartition("\n")[2]
        return f"the process that compiles ended with code {done.returncode}: {said or 'it said nothing'}"
