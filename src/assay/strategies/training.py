"""The core of every strategy that trains: rewards, learners, and what is written so that another process goes on.

Either all tasks share one adapter, or, isolated, each has one of its own, in the same rounds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from assay.core.ledger import Spend
from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, Task
from assay.strategies.batch import Batch, read_batch
from assay.strategies.learner import Learned, Learner, mean_reward
from assay.strategies.notes import State, StepNote, read_state, write_state
from assay.strategies.objective import Objective
from assay.strategies.protocol import WEIGHTS_FOLDER, Lesson, RoundPlan
from assay.strategies.settings import TrainingSettings, check_trains, starting_sampler

ISOLATED_FOLDER = "isolated"  # of the trainers of tasks that have one each, by the number of the task
SHARED = ""
REMOTE_SCORES = 16


class TrainingCore:
    """Learns from rounds, and remembers. tasks: all that the strategy may ever sample, in a fixed order."""

    def __init__(
        self,
        tasks: Sequence[Task],
        prompt: Callable[[Task], Prompt],
        settings: TrainingSettings,
        objective: Objective,
        is_isolated: bool = False,
    ) -> None:
        self._keys = [task.key for task in tasks] if is_isolated else [SHARED]
        self._is_isolated = is_isolated
        self._prompt, self._settings, self._objective = prompt, settings, objective
        self._learners: dict[str, Learner] = {}
        self._state = State(notes=(), history={})

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Fresh adapters, or those that were saved with their optimizers.

        UsageError for a policy that cannot train, lacks the loss, or cannot score where that is needed.
        """
        check_trains(policy, self._settings)
        self._objective.check(policy)
        self._state = State(notes=(), history={}) if state is None else read_state(state)
        start = self._settings.start
        reference = await starting_sampler(policy, start)
        at_once = REMOTE_SCORES if policy.device == "remote" else 1  # a device of ours scores one after another
        for number, key in enumerate(self._keys):
            saved = None if state is None else self._folder(state, number)
            # After the last round no trainer is saved, for nothing is sampled any more.
            begin = saved if saved is not None and saved.is_dir() else start and start.directory
            trainer = await policy.trainer(self._settings.lora, begin)
            named = key if self._is_isolated else None
            self._learners[key] = Learner(named, self._settings, self._objective, trainer, reference, at_once)

    def is_stopped(self, task: Task) -> bool:
        """Whether a guardrail has ended the training of the weights that serve a task."""
        return self._key(task.key) in self._state.stopped

    async def sampler(self, task: Task) -> Sampler:
        """The snapshot for a task."""
        if not self._learners:
            raise RuntimeError("a strategy is opened before it is sampled from")
        return await self._learners[self._key(task.key)].sampler()

    async def learn(
        self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path, why_final: str = "", saves: bool = True
    ) -> Lesson:
        """Rewards, the updates that follow from them unless `why_final` says why none is wanted, and the state."""
        began = time.monotonic()
        batch, history = self._read(plan, attempts, self._state.history)
        learned: dict[str, Learned] = {}
        for key in self._keys:
            groups = tuple(group for group in batch.groups if self._key(group[0].attempt.sample.task_key) == key)
            if groups:
                last_mean = self._state.mean_rewards.get(key)
                learned[key] = await self._learners[key].learn(Batch(plan.index, groups), last_mean, why_final)
        self._state = self._after(history, {key: one.note for key, one in learned.items()})
        await self._write(directory, saves)
        spend = Spend(
            updates=sum(one.note.is_updated for one in learned.values()),
            teacher_tokens=sum(one.scored for one in learned.values()),
            training_s=time.monotonic() - began,
        )
        finite = [row for row in batch.rows if row.reward - row.reward == 0]  # what is not a number is not stored
        return Lesson(spend, {row.attempt.sample.id: row.reward for row in finite})

    async def note_evaluation(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Notes a round that only measures: no update, no reward is stored, and no history is kept of it."""
        batch, _ = self._read(plan, attempts, self._state.history)
        note = StepNote(
            round=plan.index,
            role="evaluation",
            groups=len(batch.groups),
            constant=sum(len({row.reward for row in group}) == 1 for group in batch.groups),
            items=0,
            is_updated=False,
            why_not="the round measures and is not learned from",
            is_stopped=False,
            mean_reward=mean_reward(batch),
            drift=None,
            loss=None,
            grad_norm=None,
            sampler_gap=None,
        )
        self._state = self._state.model_copy(update={"notes": (note,)})
        await self._write(directory, saves=True)
        return Lesson(Spend())

    def _key(self, task_key: str) -> str:
        return task_key if self._is_isolated else SHARED

    def _folder(self, directory: Path, number: int) -> Path:
        return directory / ISOLATED_FOLDER / str(number) if self._is_isolated else directory / WEIGHTS_FOLDER

    def _read(
        self, plan: RoundPlan, attempts: Sequence[Attempt], history: Mapping[str, tuple[float, ...]]
    ) -> tuple[Batch, dict[str, tuple[float, ...]]]:
        return read_batch(plan, attempts, self._prompt, self._settings.reward, history, self._settings.seed)

    def _after(self, history: dict[str, tuple[float, ...]], notes: Mapping[str, StepNote]) -> State:
        means = {key: note.mean_reward for key, note in notes.items() if note.mean_reward is not None}
        stopped = [key for key, note in notes.items() if note.is_stopped]
        return State(
            notes=tuple(notes.values()),
            history=history,
            mean_rewards={**self._state.mean_rewards, **means},
            stopped=(*self._state.stopped, *stopped),
        )

    async def _write(self, directory: Path, saves: bool) -> None:
        for number, key in enumerate(self._keys):
            if saves and key not in self._state.stopped:
                folder = self._folder(directory, number)
                folder.parent.mkdir(exist_ok=True)
                await self._learners[key].save(folder)
        write_state(directory, self._state)
