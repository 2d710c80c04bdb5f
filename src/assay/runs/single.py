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


def evaluate_file(
    candidate: Path, reference: str, scale: str = "default", device: str = "auto", minimal_effect: float | None = None
) -> Evaluation:
    """The judge's word on the program in `candidate`.

    reference: a task file, FILE.py:Class, or a task of a suite as `starter/ID`. Raises UsageError where one of them is
    not there; a program that does not parse is an evaluation with that status.
    """
    task = reference_task(reference, scale)
    try:
        source = candidate.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"candidate {candidate}: {getattr(error, 'strerror', None) or 'not a text file'}") from None
    try:
        ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return unparsed(task.key, str(error))
    evaluator = EvaluatorConfig() if minimal_effect is None else EvaluatorConfig(minimal_effect=minimal_effect)
    config = resolve(RunConfig(device=device, evaluator=evaluator))
    return asyncio.run(_evaluate(config, task, Candidate(source=source)))


def reference_task(reference: str, scale: str = "default") -> Task:
    """The one task that `reference` names. UsageError if there is none, or more than one."""
    suite, _, task_id = reference.rpartition("/")
    if suite and not Path(reference).exists() and ".py" not in reference:
        return select_tasks(load_suite(suite, scale), [task_id], None).tasks[0]
    tasks = load_suite(reference, scale).tasks
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
