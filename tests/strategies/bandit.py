"""A policy whose gradients are known by hand: one token, one of the fake bodies, from a softmax over logits.

A prompt that quotes bodies makes each of them likelier, by `HINT` on its logit: so a teacher that is told a solution
knows something, and what it knows can be worked out.
"""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from fakes import BODIES

from assay.core.errors import NotFiniteError
from assay.core.protocols import (
    AdamConfig,
    Capabilities,
    DistillItem,
    Draw,
    LoraConfig,
    LossName,
    StepReport,
    TrainItem,
)
from assay.core.records import Completion, Prompt, SamplingParams, Scored, StopReason, content_hash

LOSSES: tuple[LossName, ...] = ("importance_sampling", "ppo", "cispo", "cross_entropy")
MOMENTUM = 0.5
HINT = 2.0


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())


def hinted(logits: np.ndarray, text: str) -> np.ndarray:
    return log_softmax(logits + HINT * np.array([body in text for body in BODIES]))


class BanditSampler:
    def __init__(self, logits: np.ndarray) -> None:
        self.logits, self.logprobs = logits, log_softmax(logits)
        self.id = content_hash(json.dumps(logits.tolist()))

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        rng = random.Random(f"{params.seed}:{prompt.hash}")
        arms = rng.choices(range(len(BODIES)), np.exp(self.logprobs).tolist(), k=n)
        drawn = [
            Completion(tokens=(a,), logprobs=(float(self.logprobs[a]),), text=BODIES[a], stop_reason=StopReason.STOP)
            for a in arms
        ]
        return Draw(prompt_tokens=3, completions=tuple(drawn))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        known = hinted(self.logits, prompt.text)
        best = tuple((int(arm), float(known[arm])) for arm in np.argsort(-known)[:topk])
        logprobs = tuple(float(known[arm]) for arm in completion)
        return Scored(tokens=tuple(completion), logprobs=logprobs, topk=(best,) * len(completion) if topk else ())


class BanditTrainer:
    """Gradient descent with momentum, which is the optimizer's state that a resumed run must get back."""

    def __init__(self, breaks_at: int | None) -> None:
        self.logits, self.velocity = np.zeros(len(BODIES)), np.zeros(len(BODIES))
        self.steps, self._breaks_at = 0, breaks_at
        self.mean: np.ndarray | None = None

    async def step(self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> StepReport:
        if self.steps == self._breaks_at:
            raise NotFiniteError("loss nan is not finite")
        logprobs = log_softmax(self.logits)
        gradient, total, gap = np.zeros_like(self.logits), 0.0, 0.0
        for item in items:
            (arm,), (behaviour,), (advantage,) = item.tokens, item.behaviour_logprobs, item.advantages
            weight = advantage * (1 if loss == "cross_entropy" else np.exp(logprobs[arm] - behaviour))
            gradient -= weight * (np.eye(len(BODIES))[arm] - np.exp(logprobs))
            total, gap = total - weight, gap + behaviour - logprobs[arm]
        self._descend(gradient, adam)
        return StepReport(total, float(np.linalg.norm(gradient)), gap / len(items), len(items))

    async def distill(self, items: Sequence[DistillItem], alpha: float, adam: AdamConfig) -> StepReport:
        """Forward KL over the whole vocabulary: its gradient is student minus teacher."""
        assert alpha == 0 and all(len(place) == len(BODIES) for item in items for place in item.targets)
        student, gradient, total = np.exp(log_softmax(self.logits)), np.zeros_like(self.logits), 0.0
        for item in items:
            teacher = np.zeros_like(student)
            for arm, logprob in item.targets[0]:
                teacher[arm] = np.exp(logprob)
            gradient += student - teacher
            total += float((teacher * np.log(teacher / student)).sum())
        self._descend(gradient, adam)
        return StepReport(total, float(np.linalg.norm(gradient)), 0.0, len(items))

    def _descend(self, gradient: np.ndarray, adam: AdamConfig) -> None:
        self.velocity = MOMENTUM * self.velocity - adam.learning_rate * gradient
        self.logits = self.logits + self.velocity
        self.steps += 1

    async def average(self, rate: float) -> None:
        self.mean = self.logits if self.mean is None else (1 - rate) * self.mean + rate * self.logits

    async def averaged(self, name: str) -> BanditSampler:
        return BanditSampler(self.logits if self.mean is None else self.mean)

    async def snapshot(self, name: str) -> BanditSampler:
        return BanditSampler(self.logits)

    async def save(self, directory: Path) -> None:
        directory.mkdir()
        mean = None if self.mean is None else self.mean.tolist()
        state = {"logits": self.logits.tolist(), "velocity": self.velocity.tolist(), "steps": self.steps, "mean": mean}
        (directory / "bandit.json").write_text(json.dumps(state))

    async def load(self, directory: Path) -> None:
        state = json.loads((directory / "bandit.json").read_text())
        self.logits, self.velocity = np.array(state["logits"]), np.array(state["velocity"])
        self.steps, self.mean = state["steps"], state["mean"] and np.array(state["mean"])


class BanditPolicy:
    name, device = "bandit", "cpu"
    prompt_kind: Literal["completion", "chat"] = "completion"

    def __init__(self, breaks_at: int | None = None, **changes) -> None:
        self.trainers: list[BanditTrainer] = []
        self._breaks_at = breaks_at
        can = {"can_train": True, "can_score": True, "losses": LOSSES, "topk": len(BODIES)}
        can |= {"can_distill": True, "can_average": True} | changes
        self.capabilities = Capabilities(
            has_full_logits=True, logprobs="raw", reduction="sum", context_tokens=None, **can
        )

    def base(self) -> BanditSampler:
        return BanditSampler(np.zeros(len(BODIES)))

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> BanditTrainer:
        self.trainers.append(BanditTrainer(self._breaks_at))
        if start is not None:
            await self.trainers[-1].load(start)
        return self.trainers[-1]

    async def close(self) -> None:
        """Holds nothing."""
