"""What a run will do and what it may cost, before anything is loaded."""

from collections.abc import Sequence
from dataclasses import dataclass

from assay.core.records import Prompt, Record, Task
from assay.policies.models import REGISTRY
from assay.runs.budget import Budget
from assay.runs.build import prompt_of
from assay.runs.config import RunConfig
from assay.runs.training_config import RLVRConfig, TrainingConfig

CHARACTERS_A_TOKEN = 3.4  # of Python source, with the tokenizers of Qwen2.5-Coder and SmolLM2


class RunPlan(Record):
    """Upper bounds, but for prompt_tokens, which is estimated from the number of characters.

    samples: also at most what the budget allows. evaluations: if every sample is a distinct program. controls:
    identical copies of references. remeasurements: of programs that were picked for their speed. rounds: of sampling.
    updates: of the weights. budget: what ends the search before that, if it is reached. start: the weights that are
    begun with, where they are not the model's own.
    """

    strategy: str
    model: str
    device: str
    model_device: str
    tasks: tuple[str, ...]
    samples: int
    prompt_tokens: int
    completion_tokens: int
    evaluations: int
    controls: int
    remeasurements: int
    rounds: int = 1
    updates: int = 0
    budget: Budget | None = None
    start: str | None = None


def plan_run(config: RunConfig, tasks: Sequence[Task]) -> RunPlan:
    """The plan of a resolved configuration."""
    kind = REGISTRY[config.model].prompt_kind if config.model in REGISTRY else "completion"
    prompt = prompt_of(config, kind)
    characters = {task.key: _characters(prompt(task)) for task in tasks}
    extent = _extent(config, tasks)
    samples, budget = sum(extent.samples.values()), config.budget
    if budget is not None and budget.rollouts is not None:
        samples = min(samples, budget.rollouts)
    share = samples / max(1, sum(extent.samples.values()))
    shortlist = getattr(config.strategy, "shortlist", None)
    evaluated = samples if shortlist is None else shortlist.top * len(tasks)
    if budget is not None and budget.evaluations is not None:
        evaluated = min(evaluated, budget.evaluations)
    prompt_characters = sum(characters[key] * count for key, count in extent.samples.items())
    return RunPlan(
        strategy=config.strategy.type,
        model=config.model,
        device=config.device,
        model_device=config.model_device or config.device,
        tasks=tuple(task.key for task in tasks),
        samples=samples,
        prompt_tokens=round(prompt_characters * share / CHARACTERS_A_TOKEN),
        completion_tokens=samples * config.sampling.max_tokens,
        evaluations=evaluated,
        controls=len(tasks) * config.null_evaluations if config.controls else 0,
        remeasurements=min(evaluated, config.remeasure * len(tasks)),
        rounds=extent.rounds,
        updates=extent.updates,
        budget=budget,
        start=config.start,
    )


@dataclass(frozen=True)
class _Extent:
    """samples: of each task, in all rounds together."""

    rounds: int
    updates: int
    samples: dict[str, int]


def _extent(config: RunConfig, tasks: Sequence[Task]) -> _Extent:
    """How far a strategy goes if nothing ends it before."""
    chosen = config.strategy
    if isinstance(chosen, RLVRConfig):
        return _outer_loop(chosen, tasks)
    if isinstance(chosen, TrainingConfig):
        updates = chosen.steps * (len(tasks) if getattr(chosen, "isolate", False) else 1)
        return _Extent(1 + chosen.steps, updates, {task.key: chosen.k * (1 + chosen.steps) for task in tasks})
    turns = getattr(chosen, "turns", 1)
    return _Extent(turns, 0, {task.key: chosen.k * turns for task in tasks})


def _outer_loop(chosen: RLVRConfig, tasks: Sequence[Task]) -> _Extent:
    """Training tasks have equal parts of all batches, up to rounding."""
    held_out = {task.key for task in tasks if task.id in (chosen.eval_ids or ())} if chosen.eval_every else set()
    train = [task.key for task in tasks if task.key not in held_out]
    drawn = chosen.steps * min(chosen.batch, len(train)) * chosen.k
    evaluations = 1 + -(-chosen.steps // chosen.eval_every) if held_out else 0
    each = {key: drawn // len(train) + (number < drawn % len(train)) for number, key in enumerate(train)}
    measured = dict.fromkeys(held_out, evaluations * chosen.eval_k)
    return _Extent(chosen.steps + evaluations, chosen.steps, {**each, **measured})


def _characters(prompt: Prompt) -> int:
    return len(prompt.text) + len(prompt.prefill) + sum(len(message.content) for message in prompt.messages)
