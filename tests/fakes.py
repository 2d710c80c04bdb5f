"""A policy and an evaluator that are quick, deterministic and in-process: what a run does around them is under test."""

import asyncio
import hashlib
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from assay.core.errors import PolicyError
from assay.core.protocols import Capabilities, Draw, LoraConfig, Trainer
from assay.core.records import (
    Candidate,
    Completion,
    Evaluation,
    ParseFailure,
    Prompt,
    Provenance,
    SamplingParams,
    Scored,
    Speedup,
    Status,
    StopReason,
    Task,
    Verdict,
)

BODIES = (
    "no program here",
    "class ModelNew(Model): pass  # ratio=1.0",
    "class ModelNew(Model): pass  # ratio=1.005",
    "class ModelNew(Model): pass  # ratio=1.3",
    "class ModelNew(Model): pass  # ratio=1.6",
    "class ModelNew(Model): pass  # ratio=0.8",
    "class ModelNew(Model): pass  # status=wrong_output",
)


def make_task(task_id: str = "1", suite: str = "fake") -> Task:
    return Task(suite=suite, id=task_id, name=f"task {task_id}", source=f"class Model: pass  # {task_id}\n")


def render(task: Task) -> Prompt:
    return Prompt(task_key=task.key, format="module", kind="completion", text=f"Improve {task.source}")


def extract(text: str, task: Task, prompt: Prompt) -> Candidate | ParseFailure:
    return Candidate(source=text) if text.startswith("class ") else ParseFailure(reason="no class")


def control(task: Task) -> Candidate:
    return Candidate(source=f"{task.source}class ModelNew(Model): pass  # ratio=1.0")


class FakeSampler:
    """Draws one of BODIES for each completion, by the seed of the call."""

    id = "fake-snapshot"

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        await asyncio.sleep(self._pause_s)
        rng = random.Random(f"{params.seed}:{prompt.hash}")
        completions = []
        for _ in range(n):
            tokens = tuple(rng.randrange(1000) for _ in range(rng.randint(1, 6)))
            logprobs = tuple(-rng.random() for _ in tokens)
            text = rng.choice(BODIES)
            completions.append(Completion(tokens=tokens, logprobs=logprobs, text=text, stop_reason=StopReason.STOP))
        return Draw(prompt_tokens=len(prompt.text), completions=tuple(completions))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        raise PolicyError("the fake policy does not score")


class FakePolicy:
    name = "fake"
    capabilities = Capabilities(False, False, 0, False, (), "raw", "sum", None)
    prompt_kind: Literal["completion", "chat"] = "completion"

    def __init__(self, device: str = "cpu", pause_s: float = 0.0) -> None:
        self.device = device
        self._pause_s = pause_s

    def base(self) -> FakeSampler:
        return FakeSampler(self._pause_s)

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> Trainer:
        raise PolicyError("the fake policy does not train")

    async def close(self) -> None:
        """Holds nothing."""


class FakeEvaluator:
    """Reads the verdict from the candidate's comment. Keeps a list of what it was asked."""

    def __init__(self, device: str = "cpu", pause_s: float = 0.0) -> None:
        self.device = device
        self.asked: list[tuple[str, str, str]] = []
        self._pause_s = pause_s

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        self.asked.append(("evaluate", task.key, candidate.hash))
        await asyncio.sleep(self._pause_s)
        return judge(task, candidate, shrink=1.0)

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        self.asked.append(("remeasure", task.key, candidate.hash))
        await asyncio.sleep(self._pause_s)
        return judge(task, candidate, shrink=0.9)

    async def close(self) -> None:
        """Holds nothing."""


def judge(task: Task, candidate: Candidate, shrink: float) -> Evaluation:
    """`ratio=X` gives the speedup 1 + (X - 1) * shrink with an interval of 4 % and a raw ratio that is 2 % too high."""
    where = Provenance(device="cpu")
    found = re.search(r"status=(\w+)", candidate.source)
    if found:
        status = Status(found.group(1))
        return Evaluation(task_key=task.key, candidate_hash=candidate.hash, status=status, provenance=where)
    ratio = 1 + (float(re.findall(r"ratio=([\d.]+)", candidate.source)[-1]) - 1) * shrink
    low, high = ratio * 0.98, ratio * 1.02
    verdict = Verdict.FASTER if low > 1.01 else Verdict.SLOWER if high < 0.99 else Verdict.UNDECIDED
    digest = int(hashlib.sha256(candidate.source.encode()).hexdigest()[:4], 16)
    return Evaluation(
        task_key=task.key,
        candidate_hash=candidate.hash,
        status=Status.CORRECT,
        verdict=verdict,
        speedup=Speedup(ratio=ratio, low=low, high=high, margin=0.01, pairs=20, replicates=2, raw=ratio * 1.02),
        candidate_ms=1.0 + digest / 1e6,
        reference_ms=ratio,
        timed_calls=40,
        provenance=where,
    )
