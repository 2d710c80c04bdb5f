"""The refinement baseline: several turns, each shown the last program of its chain and what the judge said of it.

Turn 0 draws k samples of each task from its own prompt; they begin k chains. In turn t every chain is asked again, with
the program of its turn t - 1 and the feedback on it in the prompt, and gives one sample. Nothing is learned into the
weights, so T turns cost what best-of-n costs with T * k samples, and the longer prompts.

Chains that stand at the same program with the same result share a prompt and are drawn together. So a chain's place
changes from turn to turn: `Turn.parents` says which sample of the turn before a sample goes on from.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.core.protocols import Policy, Sampler
from assay.core.records import Attempt, Prompt, StoredRecord, Task
from assay.prompting.feedback import Earlier, with_earlier
from assay.strategies.protocol import Group, Lesson, RoundPlan
from assay.strategies.settings import StartWeights, starting_sampler

STATE_FILE = "turn.json"


class Continuation(StoredRecord):
    """One prompt of the next turn, and the samples (indices within this round and task) that it goes on from."""

    prompt: Prompt
    parents: tuple[int, ...]


class Turn(StoredRecord):
    """What follows a round: the prompts of the next one by task key, in the order in which they are drawn."""

    round: int
    next: dict[str, tuple[Continuation, ...]]

    def parents(self, task_key: str) -> tuple[int, ...]:
        """By index in the next round: the index in this round that it goes on from."""
        return tuple(parent for one in self.next.get(task_key, ()) for parent in one.parents)


class Refinement:
    """`chains` chains a task, `turns` rounds."""

    name = "refine"
    learns = True  # nothing but what the next turn is to show

    def __init__(
        self,
        tasks: Sequence[Task],
        chains: int,
        turns: int,
        prompt: Callable[[Task], Prompt],
        start: StartWeights | None = None,
    ) -> None:
        self._tasks = tuple(tasks)
        self._chains, self._turns = chains, turns
        self._prompt = prompt
        self._start = start
        self._sampler: Sampler | None = None
        self._turn: Turn | None = None

    async def open(self, policy: Policy, state: Path | None) -> None:
        """Any policy will do where no weights are given to start from. UsageError for a state that cannot be read."""
        self._sampler = await starting_sampler(policy, self._start)
        self._turn = None if state is None else _read(state)

    def plan(self, index: int) -> RoundPlan | None:
        """The first turn, or the chains' next one."""
        if index >= self._turns:
            return None
        if index == 0:
            return RoundPlan.even(0, self._tasks, self._chains)
        if self._turn is None or self._turn.round != index - 1:
            raise RuntimeError(f"turn {index} is planned from what turn {index - 1} left")
        return RoundPlan(index, tuple(group for task in self._tasks for group in _groups(task, self._turn)))

    async def sampler(self, task: Task) -> Sampler:
        """The unadapted model, or the weights that were given."""
        if self._sampler is None:
            raise RuntimeError("a strategy is opened before it is sampled from")
        return self._sampler

    async def learn(self, plan: RoundPlan, attempts: Sequence[Attempt], directory: Path) -> Lesson:
        """Writes the prompts of the next turn; nothing after the last one."""
        by_task: dict[str, tuple[Continuation, ...]] = {}
        if plan.index + 1 < self._turns and not plan.is_last:
            for task in self._tasks:
                of_task = [one for one in attempts if one.sample.task_key == task.key]
                by_task[task.key] = _continued(self._prompt(task), of_task)
        self._turn = Turn(round=plan.index, next=by_task)
        (directory / STATE_FILE).write_text(self._turn.model_dump_json() + "\n")
        return Lesson(Spend())


def read_turn(directory: Path) -> Turn | None:
    """What a turn of a refinement left in `directory`; None where something else wrote it, or nothing."""
    return _read(directory) if (directory / STATE_FILE).is_file() else None


def _groups(task: Task, turn: Turn) -> list[Group]:
    groups, first = [], 0
    for one in turn.next[task.key]:
        groups.append(Group(task, len(one.parents), one.prompt, first))
        first += len(one.parents)
    return groups


def _continued(prompt: Prompt, attempts: Sequence[Attempt]) -> tuple[Continuation, ...]:
    """The next prompt of every chain, those that are equal together, in the order in which they first appear."""
    parents: dict[str, list[int]] = {}
    prompts: dict[str, Prompt] = {}
    for one in sorted(attempts, key=lambda one: one.sample.index):
        source = None if one.candidate is None else one.candidate.source
        text = "" if source is not None else one.sample.completion.text  # shown only where there is no program
        following = with_earlier(prompt, [Earlier(source=source, text=text, evaluation=one.evaluation)])
        prompts.setdefault(following.hash, following)
        parents.setdefault(following.hash, []).append(one.sample.index)
    return tuple(Continuation(prompt=prompts[key], parents=tuple(places)) for key, places in parents.items())


def _read(directory: Path) -> Turn:
    path = directory / STATE_FILE
    try:
        return Turn.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise UsageError(f"{path} cannot be read ({error}); put it back, or begin a new run") from error
