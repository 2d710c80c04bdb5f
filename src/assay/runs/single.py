"""One program against one reference, without a run."""

import ast
import asyncio
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.records import Candidate, Evaluation, Task
from assay.evaluator.config import EvaluatorConfig
from assay.runs.build import load_evaluator, resolve
from assay.runs.config import RunConfig
from assay.runs.rows import unparsed
from assay.tasks.suites import load_suite, select_tasks


def evaluate_file(candidate: Path, task: Task, device: str, config: EvaluatorConfig) -> Evaluation:
    """The judge's word on the program in `candidate`, by `config`.

    Raises UsageError where the file cannot be read; a program that does not parse is an evaluation with that status.
    """
    try:
        source = candidate.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"candidate {candidate}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    failure = parse_failure(source)
    if failure is not None:
        return unparsed(task.key, failure)
    return asyncio.run(_evaluate(resolve(RunConfig(device=device, evaluator=config)), task, Candidate(source=source)))


def parse_failure(source: str) -> str | None:
    """Why `source` is no Python program, or None."""
    try:
        ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return None


def reference_task(reference: str, scale: str = "default", input_shapes: str | None = None) -> Task:
    """The one task that `reference` names: a task file, FILE.py:Class, or a task of a suite as `starter/ID`.

    input_shapes: see `load_suite`. UsageError if there is none, or more than one.
    """
    suite, _, task_id = reference.rpartition("/")
    if suite and not Path(reference).exists() and ".py" not in reference:
        return select_tasks(load_suite(suite, scale, input_shapes), [task_id], None).tasks[0]
    tasks = load_suite(reference, scale, input_shapes).tasks
    if len(tasks) != 1:
        raise UsageError(
            f"reference {reference} has {len(tasks)} tasks: name one of them, as {reference}/{tasks[0].id}"
        )
    return tasks[0]


async def _evaluate(config: RunConfig, task: Task, candidate: Candidate) -> Evaluation:
    evaluator = load_evaluator(config)
    try:
        return await evaluator.evaluate(task, candidate)
    finally:
        await evaluator.close()
