"""Options of the strategies that train."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from assay.core.protocols import LossName


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How updates are made; everything else is `--set strategy.NAME=VALUE`."""

    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None
    """Samples of a task in each round (default 32, rlvr 8; at least 2)."""
    steps: int | None = None
    """Updates (default 5, rlvr 40)."""
    reward: Literal["log_lower", "raw", "normalized", "sparse"] | None = None
    """What a correct sample is paid: log_lower (default of ttt, the low end of the speedup's interval), raw (sdpo),
    normalized (rlvr), or sparse (--set strategy.reward.threshold=1.2)."""
    shuffled: bool = False
    """Noise control: permute the rewards among the samples of a task, so that nothing can be learned from them."""
    loss: LossName | None = None
    """importance_sampling (default), ppo, cispo or cross_entropy."""
    learning_rate: float | None = None
    """Adam's (default 1e-5)."""
    rank: int | None = None
    """Rank of the adapter (default 16)."""
    kl_coef: float | None = None
    """KL shaping: charges tokens that drift from the starting weights more than the batch does (default 0; 0.1)."""
    kl_limit: float | None = None
    """Drift from the starting weights, in nats a token, at which training ends (default 0.5; 0 for no limit)."""

    def settings(self) -> dict[str, Any]:
        """By dotted key; None for what was not given."""
        given = {f"strategy.{field.name}": getattr(self, field.name) for field in fields(self)}
        reward, shuffled = given.pop("strategy.reward"), given.pop("strategy.shuffled")
        return {**given, "strategy.reward.type": reward, "strategy.reward.shuffled": shuffled or None}


Advantage = Literal["group_center", "grpo", "rloo", "global", "entropic"]
