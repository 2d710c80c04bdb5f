"""KernelBench's own run directories, read and written.

The layout, as the repository ScalingIntelligence/KernelBench had it at commit 423217d9fda91e0c2d67e4a43bf62f96f6d104f1:
`level_{L}_problem_{P}_sample_{S}_kernel.py` for each generation, and `eval_results.json`, an object of problem id ->
list of {sample_id, compiled, correctness, metadata, runtime, runtime_stats}, with runtime in milliseconds and -1 where
nothing was timed. (Older versions have one such object a problem instead of a list.) `ref_runtime`, a field of its
evaluation results that its script leaves out, is read where it is present and written by us.
"""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from assay.core.errors import UsageError
from assay.core.protocols import Evaluator
from assay.core.records import Attempt, Candidate, Evaluation, Record, Status, Suite, Task
from assay.runs.rows import unparsed
from assay.runs.single import parse_failure
from assay.runs.store import RunStore
from assay.tasks.contract import read_source

RESULTS = "eval_results.json"
_KERNEL = re.compile(r"level_(\d+)_problem_(\d+)_sample_(\d+)_kernel\.py")
_UNTIMED = -1.0


class TheirResult(Record):
    """What an `eval_results.json` says of one generation; times are None where nothing was timed."""

    compiled: bool
    correctness: bool
    runtime_ms: float | None = None
    ref_runtime_ms: float | None = None

    @property
    def ratio(self) -> float | None:
        """Their speedup: reference time over candidate time, where the file has both."""
        if self.runtime_ms is None or self.ref_runtime_ms is None:
            return None
        return self.ref_runtime_ms / self.runtime_ms


class Generation(Record):
    """One generated kernel. theirs: None where the directory has no result for it."""

    level: int
    problem: str
    sample: int
    source: str
    theirs: TheirResult | None = None


class Compared(Record):
    """A generation with their result and ours."""

    generation: Generation
    ours: Evaluation


class Counts(Record):
    """Agreement over all generations.

    fast_theirs: correct with a ratio above 1 by the directory's results, where they have reference times; faster_ours:
    with the verdict `faster`; correct_theirs_only: correct by its results and not by our evaluation.
    """

    samples: int
    with_result: int
    correct_theirs: int
    correct_ours: int
    correct_theirs_only: int
    fast_theirs: int
    faster_ours: int


class _Entry(BaseModel):
    """An entry of `eval_results.json`; what else stands there is left alone."""

    model_config = ConfigDict(extra="ignore")

    sample_id: int = 0
    compiled: bool = False
    correctness: bool = False
    runtime: float = _UNTIMED
    ref_runtime: float = _UNTIMED


# -- reading -----------------------------------------------------------------------------------------------------


def read_kernelbench_run(directory: Path, level: int | None = None) -> tuple[Generation, ...]:
    """The generations in `directory`, of one level, in the order of problems and samples.

    UsageError if there are none, if they are of several levels and `level` does not say which, or if the results cannot
    be read.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory}: there is no such directory. Name a run directory of KernelBench.")
    found = [(match, path) for path in directory.iterdir() if (match := _KERNEL.fullmatch(path.name))]
    levels = sorted({int(match.group(1)) for match, _ in found})
    if level is None and len(levels) > 1:
        raise UsageError(f"{directory} has kernels of levels {', '.join(map(str, levels))}: name one with --level")
    chosen = level if level is not None else next(iter(levels), None)
    kept = sorted(
        (int(match.group(2)), int(match.group(3)), path) for match, path in found if int(match.group(1)) == chosen
    )
    if chosen is None or not kept:
        which = "" if level is None else f" of level {level}"
        raise UsageError(f"{directory}: no kernel{which} (level_1_problem_4_sample_0_kernel.py) in this directory.")
    results = _read_results(directory / RESULTS)
    return tuple(
        Generation(
            level=chosen,
            problem=str(problem),
            sample=sample,
            source=read_source(path),
            theirs=results.get((problem, sample)),
        )
        for problem, sample, path in kept
    )


def _read_results(path: Path) -> dict[tuple[int, int], TheirResult]:
    """(problem, sample) -> result; nothing where there is no file yet."""
    if not path.exists():
        return {}
    results: dict[tuple[int, int], TheirResult] = {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        for problem, listed in document.items():
            for entry in map(_Entry.model_validate, listed if isinstance(listed, list) else [listed]):
                results[int(problem), entry.sample_id] = TheirResult(
                    compiled=entry.compiled,
                    correctness=entry.correctness,
                    runtime_ms=entry.runtime if entry.runtime > 0 else None,
                    ref_runtime_ms=entry.ref_runtime if entry.ref_runtime > 0 else None,
                )
    except (OSError, ValueError, AttributeError, ValidationError) as error:
        first = str(error).partition("\n")[0]
        raise UsageError(f"{path}: not KernelBench's results ({first}). Restore the file, or move it away.") from None
    return results


# -- evaluating --------------------------------------------------------------------------------------------------


def tasks_of(generations: Sequence[Generation], suite: Suite) -> dict[str, Task]:
    """Problem id -> task. UsageError for a problem that `suite` has not."""
    tasks = {task.id: task for task in suite.tasks}
    unknown = sorted({one.problem for one in generations} - set(tasks), key=int)
    if unknown:
        raise UsageError(f"suite {suite.name} has no problem {', '.join(unknown)}: is this run of another level?")
    return tasks


def compare(
    generations: Sequence[Generation],
    tasks: dict[str, Task],
    evaluator: Evaluator,
    observe: Callable[[Compared], None] = lambda _: None,
) -> tuple[Compared, ...]:
    """Evaluates every generation, equal programs of a problem once, and closes `evaluator`; `observe` hears of each."""
    return asyncio.run(_compare(generations, tasks, evaluator, observe))


async def _compare(
    generations: Sequence[Generation],
    tasks: dict[str, Task],
    evaluator: Evaluator,
    observe: Callable[[Compared], None],
) -> tuple[Compared, ...]:
    seen: dict[tuple[str, str], Evaluation] = {}
    compared = []
    try:
        for one in generations:
            candidate, task = Candidate(source=one.source), tasks[one.problem]
            place = (one.problem, candidate.hash)
            if place not in seen:
                failure = parse_failure(one.source)
                seen[place] = (
                    await evaluator.evaluate(task, candidate) if failure is None else unparsed(task.key, failure)
                )
            compared.append(Compared(generation=one, ours=seen[place]))
            observe(compared[-1])
    finally:
        await evaluator.close()
    return tuple(compared)


def count(compared: Sequence[Compared]) -> Counts:
    """How often the two sides say what."""
    both = [(one.generation.theirs, one.ours) for one in compared]
    correct = [(theirs, ours) for theirs, ours in both if theirs is not None and theirs.correctness]
    return Counts(
        samples=len(both),
        with_result=sum(theirs is not None for theirs, _ in both),
        correct_theirs=len(correct),
        correct_ours=sum(ours.is_correct for _, ours in both),
        correct_theirs_only=sum(not ours.is_correct for _, ours in correct),
        fast_theirs=sum(theirs.ratio is not None and theirs.ratio > 1 for theirs, _ in correct),
        faster_ours=sum(ours.is_verified_faster for _, ours in both),
    )


# -- writing -----------------------------------------------------------------------------------------------------


def export_kernelbench(run: Path, directory: Path) -> int:
    """Writes the samples of the run in `run` in KernelBench's layout into `directory`, and returns their number.

    A problem's samples are numbered through all rounds. A completion that gave no program has a result and no kernel;
    one that was set aside without evaluation is left out.
    UsageError if `directory` holds something, or the run's tasks are not KernelBench's of one level.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory}: is not an empty directory. Name a new one.")
    with RunStore.open(run) as store:
        level = _level(store.tasks(), run)
        by_task = [(task, store.attempts(task.key, leave_out_unevaluated=True)) for task in store.tasks()]
    directory.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[dict[str, Any]]] = {}
    for task, attempts in sorted(by_task, key=lambda pair: int(pair[0].id)):
        for sample, attempt in enumerate(attempts):
            if attempt.candidate is not None:
                path = directory / f"level_{level}_problem_{task.id}_sample_{sample}_kernel.py"
                path.write_text(attempt.candidate.source, encoding="utf-8")
            results.setdefault(task.id, []).append(_their_entry(sample, attempt))
    (directory / RESULTS).write_text(json.dumps(results, indent=4) + "\n", encoding="utf-8")
    return sum(map(len, results.values()))


def _level(tasks: Sequence[Task], run: Path) -> int:
    suites = {task.suite for task in tasks}
    found = re.fullmatch(r"kernelbench/(\d)", next(iter(suites), "")) if len(suites) == 1 else None
    if found is None:
        raise UsageError(f"{run} is of {', '.join(sorted(suites))}: only runs of kernelbench/1 .. /4 have this layout.")
    return int(found.group(1))


def _their_entry(sample: int, attempt: Attempt) -> dict[str, Any]:
    """An entry of `eval_results.json`. Our times are medians (means by the published rule), and say so."""
    found = attempt.evaluation
    speedup = found.speedup
    metadata: dict[str, Any] = {
        "assay": {
            "task": found.task_key,
            "evaluator": found.provenance.evaluator,
            "status": str(found.status),
            "flags": list(found.flags),
            "verdict": None if found.verdict is None else str(found.verdict),
            "speedup": None if speedup is None else speedup.model_dump(mode="json"),
        }
    }
    if found.status in (Status.PARSE_ERROR, Status.BUILD_ERROR):
        metadata["compilation_error"] = found.error
    elif found.status is Status.WRONG_OUTPUT:
        metadata["correctness_issue"] = found.error
    elif found.error:
        metadata["runtime_error"] = found.error
    statistic = "mean" if found.provenance.evaluator.startswith("kernelbench") else "median"
    stats = {"num_trials": found.timed_calls, "hardware": found.provenance.device}
    return {
        "sample_id": sample,
        "compiled": found.status not in (Status.PARSE_ERROR, Status.BUILD_ERROR),
        "correctness": found.is_correct,
        "metadata": metadata,
        "runtime": _UNTIMED if found.candidate_ms is None else found.candidate_ms,
        "runtime_stats": {} if found.candidate_ms is None else {statistic: found.candidate_ms, **stats},
        "ref_runtime": _UNTIMED if found.reference_ms is None else found.reference_ms,
        "ref_runtime_stats": {} if found.reference_ms is None else {statistic: found.reference_ms, **stats},
    }
