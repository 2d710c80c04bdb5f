"""Configurations of the strategies that train."""

from typing import Literal, Self

from pydantic import Field, model_validator

from assay.core.protocols import LossName
from assay.core.records import Record
from assay.learning.names import ENTROPIC_MIN_GROUP, AdvantageName, PresetName, TeacherName, TeacherWeights
from assay.learning.rewards import RewardConfig


class TrainingConfig(Record):
    """How updates are made, for all strategies that train.

    steps: how many. k: samples of each task in a round. reward: what a sample is paid.
    learning_rate to max_grad_norm (0 for no clipping): Adam's. rank, alpha: of the adapter, which is scaled by
    alpha / rank. kl_limit: nats a token that the weights may drift from where they began before training ends; 0 for no
    limit. kl_coef: of KL shaping (lambda), 0 for none. collapse_below: training ends where the mean reward falls below
    this share of that of the step before; 0 for never.
    """

    k: int = Field(default=32, ge=2)
    steps: int = Field(default=5, ge=1)
    reward: RewardConfig = RewardConfig()
    loss: LossName = "importance_sampling"
    learning_rate: float = Field(default=1e-5, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    epsilon: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, ge=0)
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    kl_limit: float = Field(default=0.5, ge=0)
    kl_coef: float = Field(default=0.0, ge=0)
    collapse_below: float = Field(default=0.0, ge=0, le=1)


class TTTConfig(TrainingConfig):
    """Batch test-time training: `steps` updates, each on k samples of every task, and k more of each after the last.

    isolate: every task has weights of its own, and learns from its own samples.
    """

    type: Literal["ttt"] = "ttt"
    advantage: AdvantageName = "group_center"
    isolate: bool = False

    @model_validator(mode="after")
    def _group_is_large_enough(self) -> Self:
        _check_group(self.advantage, self.k)
        return self


class SDPOConfig(TrainingConfig):
    """Self-distillation in the rounds of test-time training.

    teacher: what it is told beside the task. teacher_weights: of the round's snapshot, of where training began
    (initial), or their moving average (ema). preset: which samples are learned from and what a solution is. beta:
    scales the advantages of sampled tokens. divergence: None for sampled tokens, else alpha: 0 forward KL, 0.5
    Jensen-Shannon, 1 reverse KL, over the teacher's `topk` likeliest tokens. reward: stored, and what a solution is
    picked by.
    """

    type: Literal["sdpo"] = "sdpo"
    reward: RewardConfig = RewardConfig(type="raw")
    teacher: TeacherName = "feedback+solution"
    teacher_weights: TeacherWeights = "snapshot"
    preset: PresetName = "published"
    beta: float = Field(default=1.0, gt=0)
    divergence: float | None = Field(default=None, ge=0, le=1)
    topk: int = Field(default=20, ge=1, le=1000)
    isolate: bool = False

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.preset == "reference" and self.teacher == "prompt-only":
            raise ValueError("preset reference leaves out samples whose teacher is told nothing: with prompt-only, all")
        if self.divergence is not None and (self.kl_coef or self.beta != 1.0):
            raise ValueError("beta and kl_coef shape advantages, and a divergence has none: leave out one or the other")
        return self


class RLVRConfig(TrainingConfig):
    """Reinforcement learning over training tasks: `steps` updates, each on k samples of each of `batch` tasks.

    eval_every: steps between evaluations on the eval tasks, 0 for none. eval_k: samples of each of them. eval_limit: at
    most so many of them. eval_ids: which they are; by default the eval half of the run's split, whose train half is
    then trained on. checkpoint_every: of so many steps the weights are kept.
    """

    type: Literal["rlvr"] = "rlvr"
    k: int = Field(default=8, ge=2)
    batch: int = Field(default=8, ge=1)
    steps: int = Field(default=40, ge=1)
    reward: RewardConfig = RewardConfig(type="normalized")
    advantage: AdvantageName = "grpo"
    collapse_below: float = Field(default=0.1, ge=0, le=1)
    eval_every: int = Field(default=10, ge=0)
    eval_k: int = Field(default=8, ge=1)
    eval_limit: int | None = Field(default=None, ge=1)
    eval_ids: tuple[str, ...] | None = None
    checkpoint_every: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _group_is_large_enough(self) -> Self:
        _check_group(self.advantage, self.k)
        return self


class DiscoverConfig(TrainingConfig):
    """Extended adaptation: k samples of every task in a round, in `groups` groups, each from one earlier program.

    c: weight of exploration in the choice of those programs. keep: how many programs of a group become states to begin
    from. capacity: of these, at most so many a task. isolate: every task has weights of its own. No drift limit by
    default, for how far the weights go is what a long adaptation is to show; `kl_coef` holds them.
    """

    type: Literal["discover"] = "discover"
    steps: int = Field(default=50, ge=1)
    advantage: AdvantageName = "entropic"
    kl_coef: float = Field(default=0.1, ge=0)
    kl_limit: float = Field(default=0.0, ge=0)
    groups: int = Field(default=4, ge=1)
    c: float = Field(default=1.0, ge=0)
    keep: int = Field(default=2, ge=1)
    capacity: int = Field(default=1000, ge=2)
    isolate: bool = False

    @model_validator(mode="after")
    def _groups_are_even(self) -> Self:
        if self.k % self.groups:
            raise ValueError(f"k = {self.k} samples do not make {self.groups} groups of one size: a multiple of it")
        _check_group(self.advantage, self.k // self.groups)
        return self


def _check_group(advantage: AdvantageName, k: int) -> None:
    if advantage == "entropic" and k < ENTROPIC_MIN_GROUP:
        raise ValueError(f"entropic advantages take k >= {ENTROPIC_MIN_GROUP} samples a task, not {k}")
