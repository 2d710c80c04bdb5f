"""`assay optimize FILE[:Class]`."""

import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from assay.core.errors import UsageError

if TYPE_CHECKING:
    from assay.core.records import Task
    from assay.report.best_file import Best
    from assay.runs.config import RunConfig


def optimize_command(
    file: str,
    /,
    *,
    out: Path = Path("best.py"),
    strategy: Literal["best-of-n", "ttt", "sdpo"] = "best-of-n",
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    budget: str | None = None,
    model: str | None = None,
    device: str | None = None,
    input_shapes: str | None = None,
    temperature: float | None = None,
    max_tokens: int | None = None,
    seed: int | None = None,
    recipe: Path | None = None,
    set: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    run: Path | None = None,
    skip_compile: bool = False,
    force: bool = False,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Search for a faster version of a module of your own, and write the best verified one as a drop-in file.

    Exit code 4, and no file, if nothing is faster at first look and again when measured afresh.

    Parameters
    ----------
    file
        Your module: FILE.py or FILE.py:Class, with get_inputs() or --input-shapes.
    out
        The file to write.
    strategy
        How to search: best-of-n, or ttt or sdpo, which train.
    k
        Samples, in each round of a strategy that trains (default 64; 32).
    budget
        What the search may spend, as rollouts=320,tokens=2e6: of rollouts, tokens, evaluations and seconds.
    model
        A name (see assay models), local:PATH-or-hub-id, or another kind that assay run takes.
    device
        cpu, cuda:N, or auto (default).
    input_shapes
        Shapes of float32 inputs (4x8,8x16 for two), for a module without get_inputs().
    temperature
        Sampling temperature (default 0.8).
    max_tokens
        At most so many tokens a completion (default 256).
    seed
        Seed of the sampling (default 0).
    recipe
        A TOML file with the run's settings.
    set
        Any setting: --set sampling.top_p=0.95; may be given several times.
    run
        Directory of the run that searches; default: a new one under runs/.
    skip_compile
        Do not measure the module under torch.compile.
    force
        Write over --out.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.options import new_directory
    from assay.runs.budget import parse_budget
    from assay.runs.config import load_config

    settings = {
        "suite": file,
        "strategy.type": strategy,
        "strategy.k": k,
        "budget": None if budget is None else parse_budget(budget),
        "model": model,
        "device": device,
        "input_shapes": input_shapes,
        "sampling.temperature": temperature,
        "sampling.max_tokens": max_tokens,
        "seed": seed,
    }
    _check_target(out, file, is_forced=force)
    config, task = _one_task(load_config(recipe, settings, set), file)
    directory = new_directory(run, "optimize")
    _search(config, task, directory, dry_run=dry_run, as_json=json)
    return 0 if dry_run else _finish(config, task, directory, file, out, skip_compile=skip_compile, as_json=json)


def _check_target(out: Path, file: str, *, is_forced: bool) -> None:
    source = Path(file.rpartition(":")[0] if ".py:" in file else file)
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"--out {out} is the module itself: name another file")
    if out.exists() and not is_forced:
        raise UsageError(f"{out} exists: name another --out, or write over it with --force")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: name a file in a folder that exists")


def _one_task(config: "RunConfig", file: str) -> "tuple[RunConfig, Task]":
    """The resolved configuration and its one task. UsageError for several, and for a rule that gives no verdict."""
    from assay.runs.build import chosen_tasks, resolve

    config = resolve(config)
    tasks = chosen_tasks(config)
    if len(tasks) != 1:
        raise UsageError(f"{file} has {len(tasks)} tasks: name one file, as FILE.py or FILE.py:Class")
    if config.evaluator.rule != "assay":
        raise UsageError(f"rule {config.evaluator.rule} gives no verdict, so nothing could be verified: leave it out")
    return config, tasks[0]


def _search(config: "RunConfig", task: "Task", directory: Path, *, dry_run: bool, as_json: bool) -> None:
    from assay.cli.console import print_json, print_text, say
    from assay.cli.launch import plan_words
    from assay.cli.progress import Narrator
    from assay.cli.session import drive, terminable
    from assay.runs.database import holds_run
    from assay.runs.lifecycle import begin, load_tools
    from assay.runs.plan import plan_run

    if holds_run(directory):
        _check_searched(directory, task)
        say(f"{directory} holds the search already: nothing is searched again")
        return
    plan = plan_run(config, (task,))
    if dry_run:
        if as_json:
            print_json({**plan.model_dump(mode="json"), "config": config.model_dump(mode="json")})
        else:
            print_text(plan_words(plan))
        return
    say(plan_words(plan))
    with Narrator() as narrator:
        with terminable():
            tools = load_tools(config, narrator.loading)
        drive(begin(config, (task,), directory, tools, sys.argv, narrator.observe), directory)


def _check_searched(directory: Path, task: "Task") -> None:
    """UsageError unless the run in `directory` is complete and of this very module."""
    from assay.runs.store import RunStore

    with RunStore.open(directory) as store:
        if [known.hash for known in store.tasks()] != [task.hash]:
            raise UsageError(f"--run {directory} holds a run of something else: name another directory")
        if not store.is_complete():
            raise UsageError(
                f"{directory} is not complete: assay resume {directory}, and then the same command goes on"
            )


def _finish(
    config: "RunConfig", task: "Task", directory: Path, file: str, out: Path, *, skip_compile: bool, as_json: bool
) -> int:
    from assay.cli.console import print_json, print_text, say
    from assay.cli.exits import THRESHOLD
    from assay.report.best_file import best_of, drop_in
    from assay.report.evaluation import evaluation_document
    from assay.report.tables import run_tables
    from assay.report.words import in_words
    from assay.runs.compiled import measure_compiled, over_compiled
    from assay.runs.devices import device_list
    from assay.runs.store import RunStore

    with RunStore.open(directory) as store:
        best, words = best_of(store, task), in_words(run_tables(store))
    compiled = None
    device = device_list(config.device)[0]
    if best is not None:
        if not skip_compile:
            say("measuring the module under torch.compile")
            compiled = measure_compiled(task, device, config.evaluator.threads)
        check = ["assay", "eval", str(out), "--reference", file, "--device", device]
        check += ["--input-shapes", config.input_shapes] if config.input_shapes else []
        out.write_text(drop_in(best, compiled, file, check, 1 - config.evaluator.alpha), encoding="utf-8")
    if as_json:
        over = over_compiled(best.speedup, compiled) if best and compiled else None
        print_json(
            {
                "run": str(directory),
                "file": str(out) if best else None,
                "candidate": best.candidate.hash if best else None,
                "evaluation": evaluation_document(best.again) if best else None,
                "compiled": compiled.model_dump(mode="json") if compiled else None,
                "over_compiled": over.model_dump(mode="json") if over else None,
                "in_words": words,
            }
        )
    else:
        print_text(_words(best, out, words, directory))
    return 0 if best else THRESHOLD


def _words(best: "Best | None", out: Path, words: str, directory: Path) -> str:
    if best is None:
        return f"Nothing verified faster was found, and no file was written. {words}\nThe run is in {directory}."
    header = takewhile(lambda line: line.startswith("# "), out.read_text(encoding="utf-8").splitlines())
    return "\n".join([f"{out} is written.", *(line[2:] for line in header), f"The run is in {directory}."])
