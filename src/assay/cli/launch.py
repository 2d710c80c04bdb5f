"""What `run` and `demo` share: resolve, show the plan, run, show the tables."""

from collections.abc import Sequence
from pathlib import Path

from assay.cli.console import print_json, print_text, say
from assay.cli.page import show_run
from assay.cli.progress import Narrator
from assay.cli.session import drive, terminable
from assay.runs.build import chosen_tasks, resolve
from assay.runs.config import RunConfig
from assay.runs.lifecycle import begin, check_new, load_tools
from assay.runs.plan import RunPlan, plan_run


def launch(config: RunConfig, directory: Path, argv: Sequence[str], *, dry_run: bool, as_json: bool) -> None:
    """Runs `config` in `directory` and shows its tables; with `dry_run`, only says what would be done."""
    check_new(directory)
    config = resolve(config)
    tasks = chosen_tasks(config)
    plan = plan_run(config, tasks)
    if dry_run:
        if as_json:
            print_json({**plan.model_dump(mode="json"), "config": config.model_dump(mode="json")})
        else:
            print_text(plan_words(plan))
        return
    say(plan_words(plan))
    for task in tasks:
        for warning in task.warnings:
            say(f"warning: {task.key}: {warning}")
    with Narrator() as narrator:
        with terminable():
            tools = load_tools(config, narrator.loading)
        drive(begin(config, tasks, directory, tools, argv, narrator.observe), directory)
    show_run(directory, as_json)


def plan_words(plan: RunPlan) -> str:
    """The plan in a few lines."""
    shown = ", ".join(plan.tasks[:8]) + (f" and {len(plan.tasks) - 8} more" if len(plan.tasks) > 8 else "")
    place = plan.device if plan.model_device == plan.device else f"{plan.device}, the model on {plan.model_device}"
    rounds = f" in {plan.rounds} rounds, with at most {plan.updates} updates between them" if plan.updates else ""
    return (
        f"{plan.strategy} with {plan.model} on {place}: {len(plan.tasks)} tasks ({shown})\n"
        f"  {plan.samples} samples{rounds}: about {plan.prompt_tokens:,} prompt tokens, at most"
        f" {plan.completion_tokens:,} completion tokens\n"
        f"  at most {plan.evaluations} evaluations (one for each distinct program), {plan.controls} of identical"
        f" copies, at most {plan.remeasurements} of winners again"
    )
