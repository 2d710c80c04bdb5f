"""The runs of an analysis: what is read of each, whether they may stand in one analysis, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.core.records import Evaluation, Record, Task
from assay.report.analysis_words import count, listed, tasks_for_rate
from assay.runs.database import holds_run
from assay.runs.pools import run_pool, unjudged_in_words
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.runs.transfer import learned_tasks
from assay.selection.pool import Pool
from assay.selection.shortlist import Shortlist


@dataclass(frozen=True)
class Origin:
    """The weights that a run began with: those of `run` at `step`.

    before: what that run itself began with, None for the unadapted model. learned: keys of the tasks that it learned
    from. Both are unknown, None and `is_known` False, where that run is not there any more.
    """

    run: str
    step: int
    before: str | None
    learned: frozenset[str]
    is_known: bool


@dataclass(frozen=True)
class RunView:
    """A run as analyses see it. pool: the judged samples, of the tasks that have some; controls: by task key.

    Everything below this is a pure function of it.
    """

    name: str
    model: str
    strategy: str
    device: str
    rule: str
    is_complete: bool
    tasks: tuple[Task, ...]
    pool: Pool
    controls: Mapping[str, tuple[Evaluation, ...]]
    shortlist: Shortlist | None
    spent: Spend
    notes: tuple[str, ...]
    start: str | None = None
    origin: Origin | None = None

    @property
    def has_verdicts(self) -> bool:
        """False under KernelBench's rule, which knows a point estimate alone."""
        return self.rule == "assay"

    @property
    def rounds(self) -> tuple[int, ...]:
        """The rounds that have judged samples."""
        return tuple(np.unique(self.pool.samples.round).tolist())

    @property
    def first_round(self) -> Pool:
        """The samples of the first round alone: of one snapshot, the one that nothing was learned into yet."""
        return with_samples(self.pool.of_rounds(self.rounds[:1]))

    @property
    def last_round(self) -> Pool:
        """The samples of the last round alone."""
        return with_samples(self.pool.of_rounds(self.rounds[-1:]))


class RunHead(Record):
    """What a reader needs to know of a run. tasks: those with a judged sample; samples: judged ones."""

    run: str
    model: str
    strategy: str
    device: str
    rule: str
    is_complete: bool
    tasks: int
    tasks_in_all: int
    samples: int
    rounds: tuple[int, ...]
    notes: tuple[str, ...]


class RunCost(Record):
    """What a run spent. tokens: prompt, completion and teacher; teacher_share: of these, None for no tokens.

    solved: tasks with at least one sample whose verdict is `faster`. tokens_a_solved_task: None where there is none.
    """

    run: str
    spent: Spend
    tokens: int
    teacher_share: float | None
    seconds: float
    tasks: int
    solved: int
    tokens_a_solved_task: float | None


class ComputeTable(Record):
    """Spending by run."""

    runs: tuple[RunCost, ...]
    in_words: str


def with_samples(pool: Pool) -> Pool:
    """The pool of its tasks that have samples."""
    return pool.of_tasks(key for key, samples in pool.by_task() if len(samples))


def read_run(store: RunStore) -> RunView:
    """A stored run, finished or not. UsageError where nothing is judged yet."""
    found = run_pool(store)
    if len(found.pool) == 0:
        raise UsageError(
            f"There is nothing to analyse in {store.directory}: no sample is evaluated yet."
            f" `assay resume {store.directory}` goes on."
        )
    pool = with_samples(found.pool)
    controls: dict[str, list[Evaluation]] = {}
    for evaluation in store.evaluations(Purpose.CONTROL):
        controls.setdefault(evaluation.task_key, []).append(evaluation)
    config = store.config
    strategy, evaluator = config.get("strategy"), config.get("evaluator")
    return RunView(
        name=str(store.directory),
        model=str(config.get("model", "unknown")),
        strategy=str(strategy["type"]) if isinstance(strategy, dict) else "unknown",
        device=str(config.get("device", "unknown")),
        rule=str(evaluator.get("rule", "assay")) if isinstance(evaluator, dict) else "assay",
        is_complete=store.is_complete(),
        tasks=store.tasks(),
        pool=pool,
        controls={key: tuple(several) for key, several in controls.items()},
        shortlist=found.shortlist,
        spent=store.ledger.total,
        notes=(*unjudged_in_words(found, store), *_uneven(found.pool)),
        start=None if config.get("start") is None else str(config["start"]),
        origin=None if config.get("start") is None else _origin(str(config["start"])),
    )


def _origin(start: str) -> Origin:
    """Of `RUN:STEP`, as a resolved configuration has it."""
    name, _, step = start.rpartition(":")
    run = Path(name)
    if not holds_run(run):
        return Origin(name, int(step), None, frozenset(), is_known=False)
    with RunStore.open(run) as store:
        before = store.config.get("start")
    return Origin(name, int(step), None if before is None else str(before), learned_tasks(run), is_known=True)


def check_comparable(views: Sequence[RunView]) -> tuple[str, ...]:
    """Warnings about runs that were measured differently, or without verdicts.

    UsageError for runs of different suites, task scales or task sources, or without a common task: their figures are of
    different things, and no analysis makes them one.
    """
    first = views[0]
    kinds = {view.name: {(task.suite, task.scale) for task in view.tasks} for view in views}
    hashes = {task.key: task.hash for task in first.tasks}
    for view in views[1:]:
        if kinds[view.name] != kinds[first.name]:
            raise UsageError(
                f"{first.name} has tasks of {_kinds(kinds[first.name])}, {view.name} of {_kinds(kinds[view.name])}:"
                " suites and scales never mix. Analyse these runs one by one."
            )
        if not set(view.pool.task_keys) & set(first.first_round.task_keys):
            raise UsageError(
                f"{first.name} and {view.name} share no task with judged samples: analyse them one by one."
            )
        changed = [task.key for task in view.tasks if hashes.get(task.key, task.hash) != task.hash]
        if changed:
            raise UsageError(
                f"{first.name} and {view.name} have different references for {listed(changed)}: the task was changed"
                " between the runs, so their speedups are of different things."
            )
    warnings = []
    for what, values in (
        ("devices", {view.device for view in views}),
        ("evaluation rules", {view.rule for view in views}),
    ):
        if len(values) > 1:
            warnings.append(
                f"The runs were measured with different {what} ({', '.join(sorted(values))}): compare with care."
            )
    warnings += [
        f"{view.name} was judged by {view.rule}, which gives no verdict: read its raw figures. Its verified ones are 0"
        " for want of a verdict, and say nothing."
        for view in views
        if not view.has_verdicts
    ]
    return tuple(warnings)


def run_head(view: RunView) -> RunHead:
    """The facts of a run."""
    return RunHead(
        run=view.name,
        model=view.model,
        strategy=view.strategy,
        device=view.device,
        rule=view.rule,
        is_complete=view.is_complete,
        tasks=len(view.pool.task_keys),
        tasks_in_all=len(view.tasks),
        samples=len(view.pool),
        rounds=view.rounds,
        notes=view.notes,
    )


def compute_table(views: Sequence[RunView]) -> ComputeTable:
    """What each run spent, out of its ledger."""
    runs = tuple(_cost(view) for view in views)
    said = "These are counts, not estimates, so no test applies to them; seconds depend on the machine and on its load."
    known = [run for run in runs if run.tokens_a_solved_task is not None]
    if len(runs) > 1 and len(known) > 1:
        least = min(known, key=lambda run: run.tokens_a_solved_task or 0.0)
        said += (
            f" {least.run} spent the fewest tokens a solved task ({least.tokens_a_solved_task:,.0f}), but which tasks"
            " are solved is subject to the uncertainty of the other tables."
        )
    elif not known and any(view.has_verdicts for view in views):
        said += " No task has a program with the verdict `faster`, so there is no price of one."
    elif not known:
        said += " Without verdicts no task counts as solved, so there is no price of one."
    if known:
        needed = max(tasks_for_rate(run.solved / run.tasks) for run in known)
        said += (
            f" A price a solved task is only as well known as the share of tasks solved; about {needed} tasks would"
            " bring that to within 10 points."
        )
    return ComputeTable(runs=runs, in_words=said)


def _cost(view: RunView) -> RunCost:
    spent = view.spent
    tokens = spent.prompt_tokens + spent.completion_tokens + spent.teacher_tokens
    solved = sum(bool(samples.is_fast_verified.any()) for _, samples in view.pool.by_task())
    return RunCost(
        run=view.name,
        spent=spent,
        tokens=tokens,
        teacher_share=spent.teacher_tokens / tokens if tokens else None,
        seconds=spent.sampling_s + spent.evaluation_s + spent.training_s,
        tasks=len(view.pool.task_keys),
        solved=solved,
        tokens_a_solved_task=tokens / solved if solved else None,
    )


def _uneven(pool: Pool) -> tuple[str, ...]:
    counts = np.diff(pool.offsets)
    missing = [key for key, n in zip(pool.task_keys, counts.tolist(), strict=True) if n == 0]
    there = counts[counts > 0]
    said = []
    if missing:
        said.append(f"{count(len(missing), 'task')} without a judged sample left out: {listed(missing)}.")
    if len(there) and there.min() < there.max():
        said.append(f"Tasks have {there.min()} to {there.max()} judged samples; curves end at the fewest.")
    return tuple(said)


def _kinds(kinds: set[tuple[str, str]]) -> str:
    return ", ".join(f"suite {suite} at scale {scale}" for suite, scale in sorted(kinds))
