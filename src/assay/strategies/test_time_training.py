"""Batch test-time training: sample, evaluate, update on everything together, and sample again with the new weights.

Step s draws G samples of each task from the current snapshot; after their evaluation one update is made on all of them
(Barnes 2026, section on batch adaptation). S steps make S updates and S + 1 measured rounds; the first round is the
unadapted model, and the last one is measured and not learned from.

Guardrails: training ends, with everything measured so far kept, when an update is not finite, and when the drift from
the unadapted model, mean over sampled tokens of lp_snapshot - lp_base, is above a limit.

Axis suffixes: P tasks, G samples of a task.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from assay.core.errors import NotFiniteError, UsageError
from assay.core.ledger import Spend
from assay.core.protocols import AdamConfig, LoraConfig, LossName, Policy, Sampler, StepReport, Trainer, TrainItem
from assay.core.records import Attempt, Prompt, Record, StoredRecord, Task
from assay.learning.advantages import advantages, is_constant
from assay.learning.names import AdvantageName
from assay.learning.rewards import HISTORY, RewardConfig, group_rewards
from assay.strategies.protocol import Lesson, RoundPlan

STATE_FILE = "step.json"
TRAINER_FOLDER = "trainer"


@dataclass(frozen=True)
class TrainingSettings:
    """How updates are made. steps: how many. kl_limit: the drift in nats a token at which training ends; 0 = no limit,
    and nothing is scored for it. seed: of the shuffled control.
    """

    steps: int
    reward: RewardConfig
    advantage: AdvantageName
    loss: LossName
    adam: AdamConfig
    lora: LoraConfig
    kl_limit: float
    seed: int


class StepNote(StoredRecord):
    """What a round was worth to learn from, and what was made of it.

    groups, constant: tasks, and those of them whose rewards are all equal. items: completions in the update. loss (sum
    over their tokens), grad_norm (before clipping) and sampler_gap (mean of lp_behaviour - lp_theta before the update,
    near 0 where sampler and trainer agree) are None without an update. drift: of this round's snapshot from the
    unadapted model; None where it was not measured. is_updated; why_not: the reason where not, else empty. is_stopped:
    a guardrail ended the training here.
    """

    round: int
    groups: int
    constant: int
    items: int
    is_updated: bool
    why_not: str
    is_stopped: bool
    mean_reward: float
    drift: float | None
    loss: float | None
    grad_norm: float | None
    sampler_gap: float | None


class _State(Record):
    """What `open` needs beside the trainer's own files. history: of the normalized reward, by task key."""

    note: StepNote
    history: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class _Opened:
    trainer: Trainer
    base: Sampler


class BatchTestTimeTraining:
    """`samples` completions of each task in each of `settings.steps` + 1 rounds, with one update between rounds."""

    name = "ttt"
    learns = True

    def __init__(
        self, tasks: Sequence[Task], samples: int, prompt: Callable[[Task], Prompt], settings: TrainingSettings
    ) -> None:
        self._tasks = tuple(tasks)
        self._samples = samples
        self._prompt = prompt
        self.settings = settings
        self._opened: _Opened | None = None
        self._history: Mapping[str, tuple[float, ...]] = {}
        self._is_stopped = False

    async def open(self, policy: Policy, state: Path | None) -> None:
        """A fresh adapter, or the one that was saved with its optimizer.

        UsageError for a policy that cannot train, lacks the loss, or cannot score while there is a drift limit.
        """
        _check_capabilities(policy, self.settings)
        saved = None if state is None else state / TRAINER_FOLDER
        if state is not None:
            stored = _read_state(state)
            self._history, self._is_stopped = stored.history, stored.note.is_stopped
        # After the last round no trainer is saved, for nothing is sampled any more.
        start = saved if saved is not None and saved.is_dir() else None
        self._opened = _Opened(await policy.trainer(self.settings.lora, start), policy.base())

    def plan(self, index: int) -> RoundPlan | None:
        """All tasks again, until all steps are made or a guardrail has spoken."""
        if index > self.settings.steps or self._is_stopped:
            return None
        return RoundPlan(index, self._tasks, self._samples)

    async def sampler(self) -> Sampler:
        """The weights after all updates so far."""
        return await self._ready().trainer.snapshot("ttt")

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Rewards, and the update that follows from them, unless this is the last round or there is nothing to learn.

        UsageError where the prompts are no longer those that the samples were drawn from.
        """
        began = time.monotonic()
        trainer, settings = self._ready().trainer, self.settings
        groups = [[one for one in attempts if one.sample.task_key == task.key] for task in plan.tasks]
        rewards_PG, history = self._rewards(plan, groups)
        drift, scored = await self._drift(groups)
        items = self._items(plan, groups, advantages(settings.advantage, rewards_PG))
        why_not, is_stopped = _reason_against(plan, settings, items, drift)
        report: StepReport | None = None
        if not why_not:
            try:
                report = await trainer.step(items, settings.loss, settings.adam)
            except NotFiniteError as error:
                why_not, is_stopped = str(error), True
        note = StepNote(
            round=plan.index,
            groups=len(groups),
            constant=int(is_constant(rewards_PG).sum()),
            items=len(items) if report else 0,
            is_updated=report is not None,
            why_not=why_not,
            is_stopped=is_stopped,
            mean_reward=float(np.mean(rewards_PG)),
            drift=drift,
            loss=report and report.loss,
            grad_norm=report and report.grad_norm,
            sampler_gap=report and report.kl,
        )
        if plan.index < settings.steps and not is_stopped:
            await trainer.save(directory / TRAINER_FOLDER)
        (directory / STATE_FILE).write_text(_State(note=note, history=history).model_dump_json(indent=2) + "\n")
        self._history, self._is_stopped = history, is_stopped
        by_id = {
            one.sample.id: float(reward)
            for group, rewards_G in zip(groups, rewards_PG, strict=True)
            for one, reward in zip(group, rewards_G, strict=True)
        }
        spend = Spend(updates=int(note.is_updated), teacher_tokens=scored, training_s=time.monotonic() - began)
        return Lesson(spend, by_id)

    def _ready(self) -> _Opened:
        if self._opened is None:
            raise RuntimeError("a strategy is opened before it is sampled from")
        return self._opened

    def _rewards(
        self, plan: RoundPlan, groups: Sequence[Sequence[Attempt]]
    ) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
        """Rewards (P, G) as they are used, and the speedups to remember of each task."""
        history, rows = dict(self._history), []
        for task, group in zip(plan.tasks, groups, strict=True):
            rng = random.Random(f"{self.settings.seed}:{plan.index}:{task.key}")
            evaluations = [one.evaluation for one in group]
            found = group_rewards(self.settings.reward, evaluations, history.get(task.key, ()), rng)
            history[task.key] = found.history[-HISTORY:]
            rows.append(found.values)
        return np.array(rows, float), history

    async def _drift(self, groups: Sequence[Sequence[Attempt]]) -> tuple[float | None, int]:
        """(mean lp_snapshot - lp_base over all sampled tokens, tokens that were scored for it)."""
        base = self._ready().base
        if not self.settings.kl_limit:
            return None, 0
        drawn = [one.sample for group in groups for one in group if one.sample.n_tokens]
        if all(sample.snapshot_id == base.id for sample in drawn):
            return 0.0, 0  # the same weights
        prompts = {task.key: self._prompt(task) for task in self._tasks}
        total, tokens = 0.0, 0
        for sample in drawn:
            scored = await base.score(prompts[sample.task_key], sample.completion.tokens)
            total += sum(sample.completion.logprobs) - sum(scored.logprobs)
            tokens += sample.n_tokens
        return (total / tokens if tokens else None), tokens

    def _items(
        self, plan: RoundPlan, groups: Sequence[Sequence[Attempt]], advantages_PG: np.ndarray
    ) -> list[TrainItem]:
        """What can be learned from: a completion with an advantage of 0 moves nothing and is left out."""
        items = []
        for task, group, advantages_G in zip(plan.tasks, groups, advantages_PG, strict=True):
            prompt = self._prompt(task)
            for one, advantage in zip(group, advantages_G, strict=True):
                if one.sample.prompt_hash != prompt.hash:
                    raise UsageError(
                        f"sample {one.sample.id} was drawn from another prompt than {task.key} has now:"
                        " go on with the version of Assay that began this run, or begin a new one"
                    )
                tokens = one.sample.n_tokens
                if advantage and tokens:
                    drawn = one.sample.completion
                    columns = ((float(advantage),) * tokens, (1.0,) * tokens)
                    items.append(TrainItem(prompt, drawn.tokens, drawn.logprobs, *columns))
        return items


def read_note(directory: Path) -> StepNote | None:
    """What was noted of the round that `directory` was written for; None if no such strategy wrote it.

    UsageError for a note that this version cannot read.
    """
    return _read_state(directory).note if (directory / STATE_FILE).is_file() else None


def _read_state(directory: Path) -> _State:
    path = directory / STATE_FILE
    try:
        return _State.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} cannot be read ({error}); put it back, or begin a new run") from error


def _check_capabilities(policy: Policy, settings: TrainingSettings) -> None:
    can = policy.capabilities
    if not can.can_train:
        raise UsageError(f"{policy.name} cannot be trained: use a registered or local: model, or assay run best-of-n")
    if settings.loss not in can.losses:
        raise UsageError(f"{policy.name} has no loss {settings.loss}: use one of {', '.join(can.losses)}")
    if settings.kl_limit and not can.can_score:
        raise UsageError(f"{policy.name} cannot score, which the drift limit takes: --set strategy.kl_limit=0")


def _reason_against(
    plan: RoundPlan, settings: TrainingSettings, items: Sequence[TrainItem], drift: float | None
) -> tuple[str, bool]:
    """(why no update is to be made, or empty; whether that ends the training)."""
    if plan.index >= settings.steps:
        return "the last round is measured and not learned from", False
    if drift is not None and drift > settings.kl_limit:
        return f"drift of {drift:.3g} nats a token from the unadapted model, limit {settings.kl_limit:g}", True
    if not items:
        return "the rewards of every task are all equal, so there is nothing to learn from", False
    return "", False
