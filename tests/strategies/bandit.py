"""A policy whose gradients are known by hand: one token, one of the fake bodies, from a softmax over logits."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from fakes import BODIES

from assay.core.errors import NotFiniteError
from assay.core.protocols import AdamConfig, Capabilities, Draw, LoraConfig, LossName, StepReport, TrainItem
from assay.core.records import Completion, Prompt, SamplingParams, Scored, StopReason, content_hash

LOSSES: tuple[LossName, ...] = ("importance_sampling", "ppo", "cispo", "cross_entropy")
MOMENTUM = 0.5


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - logits.max() - np.log(np.exp(logits - logits.max()).sum())


class BanditSampler:
    def __init__(self, logits: np.ndarray) -> None:
        self.logprobs = log_softmax(logits)
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
        return Scored(tokens=tuple(completion), logprobs=tuple(float(self.logprobs[arm]) for arm in completion))


class BanditTrainer:
    """Gradient descent with momentum, which is the optimizer's state that a resumed run must get back."""

    def __init__(self, breaks_at: int | None) -> None:
        self.logits, self.velocity = np.zeros(len(BODIES)), np.zeros(len(BODIES))
        self.steps, self._breaks_at = 0, breaks_at

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
        self.velocity = MOMENTUM * self.velocity - adam.learning_rate * gradient
        self.logits = self.logits + self.velocity
        self.steps += 1
        return StepReport(total, float(np.linalg.norm(gradient)), gap / len(items), len(items))

    async def snapshot(self, name: str) -> BanditSampler:
        return BanditSampler(self.logits)

    async def save(self, directory: Path) -> None:
        directory.mkdir()
        state = {"logits": self.logits.tolist(), "velocity": self.velocity.tolist(), "steps": self.steps}
        (directory / "bandit.json").write_text(json.dumps(state))

    async def load(self, directory: Path) -> None:
        state = json.loads((directory / "bandit.json").read_text())
        self.logits, self.velocity = np.array(state["logits"]), np.array(state["velocity"])
        self.steps = state["steps"]


class BanditPolicy:
    name, device, prompt_kind = "bandit", "cpu", "completion"

    def __init__(self, breaks_at: int | None = None, **changes) -> None:
        self.trainers: list[BanditTrainer] = []
        self._breaks_at = breaks_at
        can = {"can_train": True, "can_score": True, "losses": LOSSES} | changes
        self.capabilities = Capabilities(
            topk=0, has_full_logits=False, logprobs="raw", reduction="sum", context_tokens=None, **can
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
