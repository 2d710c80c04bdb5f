"""Whole runs of strategies that train, on the bandit: made, stopped, gone on with, and read again."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bandit import BanditPolicy, log_softmax
from fakes import BODIES, FakeEvaluator, control, extract, judge, make_task, render
from interrupted import cancel_after

from assay.core.protocols import AdamConfig, LoraConfig
from assay.core.records import Attempt, Candidate, Completion, Sample, SamplingParams, StopReason
from assay.learning.rewards import RewardConfig
from assay.runs.runner import execute
from assay.runs.schema import Purpose
from assay.runs.stages import Parts
from assay.runs.store import RunStore
from assay.strategies.settings import TrainingSettings

TASKS = [make_task("1"), make_task("2")]
ARM = {ratio: BODIES.index(f"class ModelNew(Model): pass  # ratio={ratio}") for ratio in ("1.0", "1.3", "1.6", "0.8")}
WRONG, NOTHING = BODIES.index("class ModelNew(Model): pass  # status=wrong_output"), 0


def make_settings(steps=2, seed=0, rate=0.05, **changes) -> TrainingSettings:
    settings = {
        "reward": RewardConfig(type="raw"),
        "loss": "importance_sampling",
        "adam": AdamConfig(learning_rate=rate),
        "lora": LoraConfig(rank=4, alpha=8),
        "kl_limit": 0.0,
    }
    return TrainingSettings(steps=steps, seed=seed, **(settings | changes))


def attempt(task, arm: int, index: int, round: int = 0, logprob: float | None = None) -> Attempt:
    drawn = float(log_softmax(np.zeros(len(BODIES)))[arm]) if logprob is None else logprob
    completion = Completion(tokens=(arm,), logprobs=(drawn,), text=BODIES[arm], stop_reason=StopReason.STOP)
    sample = Sample(
        id=f"{round}:{task.key}:{index}",
        task_key=task.key,
        round=round,
        index=index,
        snapshot_id=BanditPolicy().base().id,
        prompt_hash=render(task).hash,
        prompt_tokens=3,
        params=SamplingParams(),
        completion=completion,
    )
    candidate = Candidate(source=completion.text)
    return Attempt(sample=sample, candidate=candidate, evaluation=judge(task, candidate, shrink=1.0))


def attempts_of(arms: dict[str, list[int]], tasks=TASKS) -> list[Attempt]:
    return [attempt(task, arm, index) for task in tasks for index, arm in enumerate(arms[task.key])]


def make_parts(strategy, policy, evaluator=None, chunk=4, seed=0, **changes) -> Parts:
    fields = {
        "policy": policy,
        "evaluator": evaluator or FakeEvaluator(),
        "strategy": strategy,
        "prompt": render,
        "extract": extract,
        "control": control,
        "sampling": SamplingParams(temperature=1.0, max_tokens=8),
        "seed": seed,
        "chunk": chunk,
        "remeasure": 2,
    }
    return Parts(**(fields | changes))


def open_store(directory: Path, tasks=TASKS) -> RunStore:
    there = (directory / "run.sqlite").exists()
    return RunStore.open(directory, writable=True) if there else RunStore.create(directory, {"seed": 0}, tasks)


def run(directory: Path, strategy, policy=None, observe=lambda event: None, tasks=TASKS, **changes) -> None:
    with open_store(directory, tasks) as store:
        asyncio.run(execute(store, make_parts(strategy, policy or BanditPolicy(), **changes), observe))


def stopped_run(directory: Path, parts: Parts, stop_after: int, tasks=TASKS) -> None:
    """A run that is cancelled after so many events."""
    with open_store(directory, tasks) as store:
        cancel_after(store, parts, stop_after)


def events_of(directory: Path, strategy, tasks=TASKS, **changes) -> int:
    """How many events a whole run has."""
    seen: list[object] = []
    run(directory, strategy, observe=seen.append, tasks=tasks, **changes)
    return len(seen)


def records(directory: Path):
    """Everything that a run stored and learned, without what was measured by a clock."""
    with RunStore.open(directory) as store:
        evaluations = {
            p: sorted(store.evaluations(p), key=lambda e: (e.task_key, str(e.candidate_hash))) for p in Purpose
        }
        timeless = {"sampling_s": 0.0, "evaluation_s": 0.0, "training_s": 0.0}
        spent = store.ledger.total.model_copy(update=timeless)
        files = {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted((directory / "adapters").rglob("*"))
            if path.is_file()
        }
        return store.attempts(), evaluations, spent, store.finished_rounds(), store.is_complete(), files


def check_every_stop(directory: Path, make: Callable[[], object], tasks=TASKS, stride: int = 1, **changes) -> None:
    """Stops a run after each `stride`-th event, goes on with it, and compares what it stored with a whole run."""
    count = events_of(directory / "whole", make(), tasks, **changes)
    whole = records(directory / "whole")
    for stop_after in range(1, count, stride):
        place = directory / f"stopped{stop_after}"
        parts = make_parts(make(), BanditPolicy(), FakeEvaluator(pause_s=1e-5), **changes)
        stopped_run(place, parts, stop_after, tasks)
        run(place, make(), tasks=tasks, **changes)
        assert records(place) == whole, f"stopped after event {stop_after}"
