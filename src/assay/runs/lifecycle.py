"""A run from its beginning to its end, or from where it was left."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.protocols import Evaluator, Policy
from assay.core.records import Prompt, SamplingParams, Task
from assay.policies.models import Progress
from assay.runs.build import REPLAY, assemble, load_evaluator, load_policy
from assay.runs.config import RunConfig, stored_config
from assay.runs.database import holds_run
from assay.runs.events import Observer, ignore
from assay.runs.manifest import end_session, start_session
from assay.runs.runner import execute
from assay.runs.store import RunStore, already


@dataclass(frozen=True)
class Tools:
    """What a run works with; `begin` and `go_on` close both."""

    policy: Policy
    evaluator: Evaluator


def load_tools(config: RunConfig, progress: Progress | None = None) -> Tools:
    """Model and judge of a resolved configuration. May download for minutes; `progress` hears of it."""
    return Tools(load_policy(config, progress), load_evaluator(config))


def check_new(directory: Path) -> None:
    """UsageError if `directory` holds a run, so that this is known before a model is loaded."""
    if holds_run(directory):
        raise UsageError(already(directory))


def unfinished(directory: Path) -> RunConfig | None:
    """The configuration of the run in `directory`; None if it is complete. UsageError if there is no run."""
    with RunStore.open(directory) as store:
        return None if store.is_complete() else stored_config(store.config, directory)


async def begin(
    config: RunConfig,
    tasks: tuple[Task, ...],
    directory: Path,
    tools: Tools,
    argv: Sequence[str],
    observe: Observer = ignore,
) -> None:
    """Runs a resolved configuration in a new `directory`, to its end."""
    try:
        with RunStore.create(directory, config.model_dump(mode="json"), tasks) as store:
            await _work(store, config, tools, argv, observe)
    finally:
        await _close(tools)


async def go_on(directory: Path, tools: Tools, argv: Sequence[str], observe: Observer = ignore) -> None:
    """Takes the run in `directory` to its end, with the tools of its `unfinished` configuration."""
    try:
        with RunStore.open(directory, writable=True) as store:
            config = stored_config(store.config, directory)
            if config.model.startswith(REPLAY):
                await _pass_over(tools.policy, {task.key: len(store.indices(0, task.key)) for task in store.tasks()})
            await _work(store, config, tools, argv, observe)
    finally:
        await _close(tools)


async def _work(store: RunStore, config: RunConfig, tools: Tools, argv: Sequence[str], observe: Observer) -> None:
    devices = {"model": tools.policy.device, "evaluator": tools.evaluator.device}
    start_session(store.directory, config.seed, tools.policy.name, devices, argv)
    outcome = "failed"
    try:
        await execute(store, assemble(config, store.tasks(), tools.policy, tools.evaluator), observe)
        outcome = "done"
    except asyncio.CancelledError:
        outcome = "interrupted"
        raise
    finally:
        end_session(store.directory, outcome)


async def _close(tools: Tools) -> None:
    try:
        await tools.evaluator.close()
    finally:
        await tools.policy.close()


async def _pass_over(policy: Policy, stored: Mapping[str, int]) -> None:
    """A replay gives its samples in order, each once: those that the run has already are taken and dropped."""
    for task_key, count in stored.items():
        if count:
            prompt = Prompt(task_key=task_key, format="body", kind="completion")
            await policy.base().sample(prompt, count, SamplingParams())
