"""`assay demo`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from assay.cli.launch import Resolved

# Small tasks on which small models find something; the last one has nothing to be found.
TASKS = ("topk_by_sort", "gather_rows_loop", "batched_dot_loop", "column_max_loop", "plain_softmax")
MODELS = ("qwen2.5-coder-0.5b", "smollm2-135m")
SAMPLES = 16
SAMPLING = {"sampling.max_tokens": 64, "sampling.temperature": 1.0}
COPIES = 2  # identical copies of each reference
# One update, on two of the tasks, between two rounds of samples. Of so few samples hardly one is verified faster, and
# where all rewards are equal there is nothing to learn: the raw ratio pays correct programs too.
ADAPTED_TASKS = ("topk_by_sort", "batched_dot_loop")
ADAPTATION = {"strategy.type": "ttt", "strategy.steps": 1, "strategy.reward.type": "raw", "tasks.ids": ADAPTED_TASKS}
ADAPTED_SAMPLES = 8


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
    """The main job, small, on the CPU, in minutes: best-of-n, selection, and a short adaptation; an A/A control beside.

    Parameters
    ----------
    model
        Default: qwen2.5-coder-0.5b, or smollm2-135m where no source of the first answers.
    k
        Samples a task; the adaptation draws at most 8 of each of two tasks in a round.
    device
        cpu, cuda:N, or auto.
    seed
        Seed of the sampling.
    out
        Directory of the two runs and the page; default: a new one under runs/.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import say
    from assay.cli.options import new_directory
    from assay.cli.progress import Narrator
    from assay.cli.session import terminable
    from assay.runs.build import first_available

    if not dry_run:
        say(
            f"Asks a small model {k} times for a faster program for each of {len(TASKS)} tasks, runs and times what it"
            f" writes, and puts identical copies of each reference beside it: on {TASKS[-1]}, and for the copies,"
            " there is nothing to be won. Then it adapts the model for one step to two of the tasks."
        )
    if model is None and not dry_run:
        with Narrator() as narrator, terminable():
            model = first_available(MODELS, narrator.loading, say)
    options = {"model": model or MODELS[0], "device": device, "seed": seed} | SAMPLING
    directory = new_directory(out, "demo")
    steps = _steps(options, k)
    if dry_run:
        _show_plans(steps, as_json=json)
        return
    documents = _perform(steps, directory, as_json=json)
    page = _write_page([directory / name for name in steps], directory)
    if json:
        from assay.cli.console import print_json

        print_json({**documents, "page": None if page is None else str(page)})


def _steps(options: dict[str, Any], k: int) -> "dict[str, Resolved]":
    """The runs of the demo by name; no adaptation of a model that cannot be trained, or from a single sample."""
    from assay.cli.console import say
    from assay.cli.launch import resolved_run
    from assay.runs.build import is_trainable
    from assay.runs.config import load_config

    drawn = {"strategy.k": k, "tasks.ids": TASKS, "null_evaluations": COPIES}
    steps = {"best-of-n": resolved_run(load_config(None, options | drawn))}
    if k > 1 and is_trainable(options["model"]):
        settings = options | ADAPTATION | {"strategy.k": min(k, ADAPTED_SAMPLES)}
        steps["adaptation"] = resolved_run(load_config(None, settings))
    else:
        say("no adaptation: " + ("one sample has nothing to be compared with" if k < 2 else "the model is not local"))
    return steps


def _show_plans(steps: "dict[str, Resolved]", *, as_json: bool) -> None:
    from assay.cli.console import print_json, print_text
    from assay.cli.launch import plan_words

    if as_json:
        print_json({name: step.document() for name, step in steps.items()})
        return
    for step in steps.values():
        print_text(plan_words(step.plan))


def _perform(steps: "dict[str, Resolved]", directory: Path, *, as_json: bool) -> dict[str, Any]:
    """Runs each step in a folder of its own and shows its tables; their documents where JSON is wanted."""
    from assay.cli.launch import perform
    from assay.cli.page import run_document, show_run
    from assay.runs.lifecycle import check_new

    for name in steps:
        check_new(directory / name)
    documents: dict[str, Any] = {}
    for name, step in steps.items():
        perform(step, directory / name, sys.argv)
        if as_json:
            documents[name] = run_document(directory / name)
        else:
            show_run(directory / name, as_json=False)
    return documents


def _write_page(runs: list[Path], directory: Path) -> Path | None:
    from assay.cli.console import say
    from assay.cli.report import HINT, write_runs_page

    page = write_runs_page(runs, directory / "report.html")
    compares = ", the two runs compared" if len(runs) > 1 else ""
    say(
        f"A page with charts, code and timings{compares}: {page}"
        if page
        else f"For a page with charts and code: {HINT}"
    )
    return page
