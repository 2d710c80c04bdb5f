"""`assay demo`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

# Small tasks on which small models find something; the last one has nothing to be found.
TASKS = ("topk_by_sort", "gather_rows_loop", "batched_dot_loop", "column_max_loop", "plain_softmax")
MODELS = ("qwen2.5-coder-0.5b", "smollm2-135m")
SAMPLES = 16
SAMPLING = {"sampling.max_tokens": 64, "sampling.temperature": 1.0}


def demo_command(
    *,
    model: str | None = None,
    k: Annotated[int, Parameter(name=["-k", "--k"])] = SAMPLES,
    device: str = "cpu",
    seed: int = 0,
    out: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """The main job, small, on the CPU, in minutes: best-of-n on five starter tasks, and an A/A control beside each.

    Parameters
    ----------
    model
        Default: qwen2.5-coder-0.5b, or smollm2-135m where no source of the first answers.
    k
        Samples a task.
    device
        cpu, cuda:N, or auto.
    seed
        Seed of the sampling.
    out
        Directory of the run; default: a new one under runs/.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import say
    from assay.cli.launch import launch
    from assay.cli.options import new_directory
    from assay.cli.progress import Narrator
    from assay.cli.report import HINT, write_run_page
    from assay.cli.session import terminable
    from assay.runs.build import first_available
    from assay.runs.config import load_config

    if not dry_run:
        say(
            f"Asks a small model {k} times for a faster program for each of {len(TASKS)} tasks, runs and times what it"
            f" writes, and puts an identical copy of each reference beside it: on {TASKS[-1]}, and for the copies,"
            " there is nothing to be won."
        )
    if model is None and not dry_run:
        with Narrator() as narrator, terminable():
            model = first_available(MODELS, narrator.loading, say)
    options = {"model": model or MODELS[0], "device": device, "seed": seed, "strategy.k": k, "tasks.ids": TASKS}
    config, directory = load_config(None, options | SAMPLING), new_directory(out, "demo")
    launch(config, directory, sys.argv, dry_run=dry_run, as_json=json)
    if not dry_run:
        page = write_run_page(directory)
        say(f"A page with charts, code and timings: {page}" if page else f"For a page with charts and code: {HINT}")
