"""`assay eval CANDIDATE --reference REF` and `assay eval --kernelbench-run DIR`."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assay.core.errors import UsageError

if TYPE_CHECKING:
    from assay.evaluator.config import EvaluatorConfig


def eval_command(
    candidate: Path | None = None,
    /,
    *,
    reference: str | None = None,
    input_shapes: str | None = None,
    kernelbench_run: Path | None = None,
    level: int | None = None,
    scale: str = "default",
    device: str = "auto",
    evaluator: Literal["assay", "kernelbench", "kernelbench-fast", "kernelbench-full"] = "assay",
    minimal_effect: float | None = None,
    fail_under: float | None = None,
    json: bool = False,
) -> int:
    """Judge one program against a reference, or all generations of a KernelBench run beside its own results.

    Parameters
    ----------
    candidate
        A Python file that defines ModelNew.
    reference
        A task file, a module of your own (FILE.py or FILE.py:Class), or a task (starter/ID, kernelbench/1/ID).
    input_shapes
        Shapes of float32 inputs for a module of your own: sizes joined by x, inputs by commas (4x8,8x16).
    kernelbench_run
        A run directory of KernelBench; its results, if it has any, are shown beside ours. Instead of a candidate.
    level
        The level of --kernelbench-run, where the directory has kernels of several.
    scale
        Input sizes: default, or gpu (starter), small (all others).
    device
        cpu, cuda:N, or auto.
    evaluator
        Whose rule decides: assay, or KernelBench's published one, fast (1 + 5 trials) or full (5 + 50).
    minimal_effect
        Smallest relative gain that may be called faster (default 0.01).
    fail_under
        Exit code 4 unless the program is correct, nothing is flagged, and the low end of its speedup's interval is at
        least this.
    json
        One JSON document on stdout.

    """
    from assay.cli.options import rule_named
    from assay.evaluator.config import EvaluatorConfig
    from assay.runs.devices import one_device

    device = one_device(device, "assay eval")
    if fail_under is not None and not math.isfinite(fail_under):
        raise UsageError(f"--fail-under {fail_under}: give a finite ratio, such as 1.0")
    if minimal_effect is not None and not 0 <= minimal_effect < 1:
        raise UsageError(f"--minimal-effect {minimal_effect}: give a relative gain from 0 to below 1, such as 0.01")
    settings = {"rule": rule_named(evaluator), "minimal_effect": minimal_effect}
    config = EvaluatorConfig.model_validate({key: value for key, value in settings.items() if value is not None})
    if kernelbench_run is not None:
        if candidate is not None or reference is not None or input_shapes is not None or fail_under is not None:
            raise UsageError(
                "--kernelbench-run has candidates and references of its own: leave out the candidate, --reference,"
                " --input-shapes and --fail-under"
            )
        _kernelbench_run(kernelbench_run, level, scale, device, config, as_json=json)
        return 0
    if candidate is None or reference is None:
        raise UsageError("name a candidate and its --reference, or a --kernelbench-run DIR")
    return _one(candidate, reference, input_shapes, scale, device, config, fail_under, as_json=json)


def _one(
    candidate: Path,
    reference: str,
    input_shapes: str | None,
    scale: str,
    device: str,
    config: "EvaluatorConfig",
    fail_under: float | None,
    *,
    as_json: bool,
) -> int:
    from assay.cli.console import print_json, print_text, say
    from assay.cli.exits import THRESHOLD
    from assay.cli.progress import speedup_words
    from assay.report.evaluation import evaluation_document
    from assay.runs.single import evaluate_file, reference_task

    task = reference_task(reference, scale, input_shapes)
    for warning in task.warnings:
        say(f"warning: {task.key}: {warning}")
    found = evaluate_file(candidate, task, device, config)
    if as_json:
        print_json(evaluation_document(found))
    else:
        words = speedup_words(found)
        print_text(f"{candidate}: {words}" if found.speedup is None else f"{candidate}: correct; {words}")
        if found.error:
            print_text(found.error)
    if fail_under is None:
        return 0
    is_met = found.speedup is not None and not found.flags and found.speedup.low >= fail_under
    return 0 if is_met else THRESHOLD


def _kernelbench_run(
    directory: Path, level: int | None, scale: str, device: str, config: "EvaluatorConfig", *, as_json: bool
) -> None:
    from assay.cli.console import say
    from assay.cli.kernelbench_page import narrated, show_compared
    from assay.runs.build import load_evaluator, resolve
    from assay.runs.config import RunConfig
    from assay.runs.interchange import compare, read_kernelbench_run, tasks_of
    from assay.tasks.suites import load_suite

    generations = read_kernelbench_run(directory, level)
    suite = load_suite(f"kernelbench/{generations[0].level}", scale)
    tasks = tasks_of(generations, suite)
    for task in tasks.values():
        for warning in task.warnings:
            say(f"warning: {task.key}: {warning}")
    judge = load_evaluator(resolve(RunConfig(device=device, evaluator=config)))
    show_compared(directory, suite.name, compare(generations, tasks, judge, narrated), as_json=as_json)
