"""The seams of the system, all on one page. Each implementation stands in a file of its own, named after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from assay.core.records import (
    Candidate,
    Completion,
    Evaluation,
    Prompt,
    SamplingParams,
    Scored,
    Task,
)

LossName = Literal["importance_sampling", "ppo", "cispo", "cross_entropy"]


# -- policies ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Capabilities:
    """What a policy can do. A strategy asks before it starts, and a missing capability is a `UsageError`."""

    can_train: bool
    can_score: bool
    topk: int  # how many top log-probabilities `score` can return; 0 = none
    has_full_logits: bool
    losses: tuple[LossName, ...]
    logprobs: Literal["raw", "tempered"]
    reduction: Literal["sum", "mean"]
    context_tokens: int | None
    can_distill: bool = False  # its trainers are `DistillingTrainer`s
    can_average: bool = False  # its trainers are `AveragingTrainer`s


@dataclass(frozen=True)
class Draw:
    """The completions of one prompt, and how many tokens the prompt had.

    completion_tokens: as a server counts them, where that is not the number of tokens that the completions hold.
    dollars: what the draw cost, where a price is known.
    """

    prompt_tokens: int
    completions: tuple[Completion, ...]
    completion_tokens: int | None = None
    dollars: float | None = None


class Sampler(Protocol):
    """An immutable snapshot of a policy."""

    @property
    def id(self) -> str:
        """Identity of the snapshot; the same weights give the same id."""
        ...

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """`n` completions with raw log-probabilities; the same arguments give the same draw where the policy can."""
        ...

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """Raw log-probabilities of `completion` (token ids) after `prompt`; completion tokens only."""
        ...


@dataclass(frozen=True)
class TrainItem:
    """One completion to learn from; unshifted, completion tokens only.

    tokens, behaviour_logprobs, advantages, mask: length T each; mask 0 leaves a token out of the loss.
    """

    prompt: Prompt
    tokens: tuple[int, ...]
    behaviour_logprobs: tuple[float, ...]
    advantages: tuple[float, ...]
    mask: tuple[float, ...]


@dataclass(frozen=True)
class AdamConfig:
    """Adam's settings for one step."""

    learning_rate: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0


@dataclass(frozen=True)
class LoraConfig:
    """A low-rank adapter on attention and MLP projections."""

    rank: int = 16
    alpha: int = 32
    seed: int = 0


@dataclass(frozen=True)
class StepReport:
    """What an update did.

    loss: sum over unmasked completion tokens; grad_norm: before clipping, None where a server does not say; kl: mean of
    lp_behaviour - lp_theta before the update.
    """

    loss: float
    grad_norm: float | None
    kl: float
    tokens: int


class Trainer(Protocol):
    """The changing side of a policy."""

    async def step(self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> StepReport:
        """One optimizer update on all `items` together."""
        ...

    async def snapshot(self, name: str) -> Sampler:
        """The current weights as an immutable sampler."""
        ...

    async def save(self, directory: Path) -> None:
        """Writes adapter and optimizer state so that `load` continues as if nothing had happened."""
        ...

    async def load(self, directory: Path) -> None:
        """Reads what `save` wrote."""
        ...


@dataclass(frozen=True)
class DistillItem:
    """One completion to bring nearer to a teacher's distributions; completion tokens only.

    targets: for each token (token id, the teacher's raw log-probability) of its likeliest tokens, all as many.
    behaviour_logprobs: for the report alone. mask 0 leaves a place out.
    """

    prompt: Prompt
    tokens: tuple[int, ...]
    behaviour_logprobs: tuple[float, ...]
    targets: tuple[tuple[tuple[int, float], ...], ...]
    mask: tuple[float, ...]


class DistillingTrainer(Trainer, Protocol):
    """A trainer that sees its own full distributions."""

    async def distill(self, items: Sequence[DistillItem], alpha: float, adam: AdamConfig) -> StepReport:
        """One optimizer update on the summed divergence (`assay.learning.divergence`) from the items' targets."""
        ...


class AveragingTrainer(Trainer, Protocol):
    """A trainer that can keep a moving average of its weights; `save` and `load` keep it too."""

    async def average(self, rate: float) -> None:
        """Moves the average by `rate` of the way to the current weights; the first call starts it at these."""
        ...

    async def averaged(self, name: str) -> Sampler:
        """The average as an immutable sampler; the current weights where `average` was never called."""
        ...


class Policy(Protocol):
    """A language model: gives samplers, and trainers where it can train."""

    @property
    def name(self) -> str:
        """As given on the command line."""
        ...

    @property
    def device(self) -> str:
        """The device that sampling keeps busy: "cpu", "cuda:0", or "remote"."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """The kind of prompt this model was measured to answer best."""
        ...

    def base(self) -> Sampler:
        """The unadapted model."""
        ...

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> Trainer:
        """A new trainer, from the base model or from what a trainer saved in `start`."""
        ...

    async def close(self) -> None:
        """Releases memory, connections and processes."""
        ...


# -- evaluation -------------------------------------------------------------------------------------------------


class Evaluator(Protocol):
    """Judges candidates. Never raises for what a candidate does."""

    @property
    def device(self) -> str:
        """The device that programs are run and timed on: "cpu" or "cuda:N"."""
        ...

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        """Builds, runs, checks and times `candidate` against the reference of `task`."""
        ...

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        """The same in fresh processes on fresh inputs, for a candidate that was selected for its speed."""
        ...

    async def close(self) -> None:
        """Ends every process that was started."""
        ...
