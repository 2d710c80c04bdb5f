"""What a run will do and what it may cost, before anything is loaded."""

from collections.abc import Sequence

from assay.core.records import Record, Task
from assay.policies.models import REGISTRY
from assay.runs.build import prompt_of
from assay.runs.config import RunConfig, TTTConfig

CHARACTERS_A_TOKEN = 3.4  # of Python source, with the tokenizers of Qwen2.5-Coder and SmolLM2


class RunPlan(Record):
    """Upper bounds, but for prompt_tokens, which is estimated from the number of characters.

    evaluations: if every sample is a distinct program. controls: identical copies of references. remeasurements: of
    programs that were picked for their speed. rounds: in which all tasks are sampled. updates: of the weights.
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


def plan_run(config: RunConfig, tasks: Sequence[Task]) -> RunPlan:
    """The plan of a resolved configuration."""
    kind = REGISTRY[config.model].prompt_kind if config.model in REGISTRY else "completion"
    prompt = prompt_of(config, kind)
    prompts = [prompt(task) for task in tasks]
    characters = sum(len(p.text) + len(p.prefill) + sum(len(m.content) for m in p.messages) for p in prompts)
    updates = config.strategy.steps if isinstance(config.strategy, TTTConfig) else 0
    shortlist = None if isinstance(config.strategy, TTTConfig) else config.strategy.shortlist
    k = config.strategy.k * (1 + updates)  # of a task, in all rounds
    evaluated = k if shortlist is None else shortlist.top
    return RunPlan(
        strategy=config.strategy.type,
        model=config.model,
        device=config.device,
        model_device=config.model_device or config.device,
        tasks=tuple(task.key for task in tasks),
        samples=k * len(tasks),
        prompt_tokens=round(characters / CHARACTERS_A_TOKEN) * k,
        completion_tokens=k * len(tasks) * config.sampling.max_tokens,
        evaluations=evaluated * len(tasks),
        controls=len(tasks) * config.null_evaluations if config.controls else 0,
        remeasurements=min(evaluated, config.remeasure) * len(tasks),
        rounds=1 + updates,
        updates=updates,
    )
