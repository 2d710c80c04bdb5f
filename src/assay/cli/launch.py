"""What `run` and `demo` share: resolve, show the plan, run, show the tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.cli.console import print_json, print_text, say
from assay.cli.page import run_document, show_run
from assay.cli.progress import Narrator
from assay.cli.session import drive, terminable
from assay.core.errors import UsageError
from assay.core.records import Task
from assay.runs.budget import budget_words
from assay.runs.build import chosen_tasks, resolve
from assay.runs.config import RunConfig
from assay.runs.database import holds_run
from assay.runs.lifecycle import begin, check_new, load_tools, unfinished
from assay.runs.plan import RunPlan, plan_run


def launch(config: RunConfig, directory: Path, argv: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Runs `config` in `directory` and shows its tables; with `dry_run`, only says what would be done."""
    check_new(directory)
    resolved = resolved_run(config)
    if not dry_run:
        perform(resolved, directory, argv)
        show_run(directory, as_json)
    elif as_json:
        print_json(resolved.document())
    else:
        print_text(plan_words(resolved.plan))


def launch_seeds(
    config: RunConfig, seeds: Sequence[int], directory: Path, argv: Sequence[str], *, dry_run: bool, as_json: bool
) -> None:
    """A run for each seed, in `directory/seed-N`; those that are complete already are only shown.

    UsageError for one that was begun and is not complete, which `assay resume` goes on with.
    """
    documents = []
    for seed in seeds:
        run = directory / f"seed-{seed}"
        resolved = resolved_run(config.model_copy(update={"seed": seed}))
        say(f"seed {seed}: {run}")
        if dry_run:
            documents.append(resolved.document())
        else:
            if not holds_run(run):
                perform(resolved, run, argv)
            elif unfinished(run) is not None:
                raise UsageError(f"{run} is not complete: assay resume {run}, and then the same command goes on")
            documents.append(run_document(run) if as_json else {})
        if not as_json and dry_run:
            print_text(plan_words(resolved.plan))
        elif not as_json:
            show_run(run, as_json)
    if as_json:
        print_json({"runs": documents})


@dataclass(frozen=True)
class Resolved:
    """A configuration with its devices and paths named, its tasks, and what they will cost."""

    config: RunConfig
    tasks: tuple[Task, ...]
    plan: RunPlan

    def document(self) -> dict[str, Any]:
        """The plan and the configuration, for a program to read."""
        return {**self.plan.model_dump(mode="json"), "config": self.config.model_dump(mode="json")}


def resolved_run(config: RunConfig) -> Resolved:
    """Names everything that the run depends on. UsageError for what cannot be had."""
    config = resolve(config)
    tasks = chosen_tasks(config)
    return Resolved(config, tasks, plan_run(config, tasks))


def perform(resolved: Resolved, directory: Path, argv: Sequence[str]) -> None:
    """Says the plan, and runs it in `directory`, with its progress on stderr."""
    config, tasks = resolved.config, resolved.tasks
    say(plan_words(resolved.plan))
    for task in tasks:
        for warning in task.warnings:
            say(f"warning: {task.key}: {warning}")
    with Narrator() as narrator:
        with terminable():
            tools = load_tools(config, narrator.loading)
        drive(begin(config, tasks, directory, tools, argv, narrator.observe), directory)


def plan_words(plan: RunPlan) -> str:
    """The plan in a few lines."""
    shown = ", ".join(plan.tasks[:8]) + (f" and {len(plan.tasks) - 8} more" if len(plan.tasks) > 8 else "")
    place = plan.device if plan.model_device == plan.device else f"{plan.device}, the model on {plan.model_device}"
    rounds = f" in {plan.rounds} rounds" if plan.rounds > 1 else ""
    if plan.updates:
        rounds += f", with at most {plan.updates} {'update' if plan.updates == 1 else 'updates'} between them"
    tasks = "1 task" if len(plan.tasks) == 1 else f"{len(plan.tasks)} tasks"
    return (
        f"{plan.strategy} with {plan.model} on {place}: {tasks} ({shown})\n"
        f"  {plan.samples} samples{rounds}: about {plan.prompt_tokens:,} prompt tokens, at most"
        f" {plan.completion_tokens:,} completion tokens\n"
        f"  at most {plan.evaluations} evaluations (one for each distinct program), {plan.controls} of identical"
        f" copies, at most {plan.remeasurements} of winners again"
        + (f"\n  budget: {budget_words(plan.budget)}" if plan.budget else "")
        + (f"\n  begins with the weights of {plan.start}" if plan.start else "")
    )
