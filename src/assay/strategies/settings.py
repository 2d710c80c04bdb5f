"""What the strategies that train have in common: how an update is made, where it starts, and when training ends."""

from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.protocols import AdamConfig, LoraConfig, LossName, Policy, Sampler
from assay.learning.rewards import RewardConfig


@dataclass(frozen=True)
class StartWeights:
    """An adapter to begin from instead of the unadapted model: `directory` is what a trainer saved."""

    directory: Path
    lora: LoraConfig


@dataclass(frozen=True)
class TrainingSettings:
    """How updates are made, and the guardrails.

    steps: how many updates. kl_limit: the drift from the starting weights, in nats a token, at which training ends; 0
    is no limit. kl_coef: of KL shaping; 0 is none. Where both are 0, nothing is scored by the starting weights.
    collapse_below: training ends where the mean reward is below this share of the one before; 0 is never. seed: of the
    shuffled control. start: None for the unadapted model.
    """

    steps: int
    reward: RewardConfig
    loss: LossName
    adam: AdamConfig
    lora: LoraConfig
    kl_limit: float
    kl_coef: float = 0.0
    collapse_below: float = 0.0
    seed: int = 0
    start: StartWeights | None = None

    @property
    def needs_reference(self) -> bool:
        """Whether samples are scored by the starting weights."""
        return bool(self.kl_limit or self.kl_coef)


def check_trains(policy: Policy, settings: TrainingSettings) -> None:
    """UsageError where the policy lacks what every update takes."""
    can = policy.capabilities
    if not can.can_train:
        raise UsageError(f"{policy.name} cannot be trained: use a registered or local: model, or assay run best-of-n")
    if settings.loss not in can.losses:
        raise UsageError(f"{policy.name} has no loss {settings.loss}: use one of {', '.join(can.losses)}")
    if settings.kl_limit and not can.can_score:
        raise UsageError(f"{policy.name} cannot score, which the drift limit takes: --set strategy.kl_limit=0")
    if settings.kl_coef and not can.can_score:
        raise UsageError(f"{policy.name} cannot score, which KL shaping takes: --kl-coef 0")


async def starting_sampler(policy: Policy, start: StartWeights | None) -> Sampler:
    """The unadapted model, or a snapshot of the weights to begin from. UsageError for a policy without adapters."""
    if start is None:
        return policy.base()
    if not policy.capabilities.can_train:
        raise UsageError(f"{policy.name} takes no adapter, so it cannot begin from {start.directory}: no --start")
    trainer = await policy.trainer(start.lora, start.directory)
    return await trainer.snapshot("start")
