"""Transfer: weights that a run adapted, on other tasks, beside the unadapted model on the same ones.

Each side is an ordinary best-of-n run of equally many samples and the same seed, with everything else as in the run
that adapted: `base` from what that run began with, `adapted` from one of its steps.
"""

from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.core.records import Task
from assay.runs.build import chosen_tasks, resolve
from assay.runs.config import BestOfNConfig, RunConfig, TaskFilter, default_copies, stored_config
from assay.runs.database import holds_run
from assay.runs.start import find_start
from assay.runs.store import RunStore
from assay.runs.training_config import RLVRConfig

BASE, ADAPTED = "base", "adapted"


@dataclass(frozen=True)
class Side:
    """One of the two runs: where it goes, resolved, with its tasks."""

    directory: Path
    config: RunConfig
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Transfer:
    """`run`'s weights of `step` on tasks; trained: the keys of those tasks of `run` that it learned from."""

    run: Path
    step: int
    base: Side
    adapted: Side
    trained: frozenset[str]

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, in the order in which they are made."""
        return self.base, self.adapted


@dataclass(frozen=True)
class Wanted:
    """What a transfer is asked for. tasks: None for all tasks of the suite that the run did not learn from.

    step: None for the last. seed, device: None for those of the run.
    """

    tasks: TaskFilter | None
    k: int
    step: int | None = None
    seed: int | None = None
    device: str | None = None


def plan_transfer(run: Path, wanted: Wanted, out: Path) -> Transfer:
    """Both sides, resolved. UsageError for a run without weights, a step or tasks that are not there."""
    found = find_start(run if wanted.step is None else f"{run}:{wanted.step}")
    if found.step == 0:
        raise UsageError(f"step 0 of {run} is what it began with, so nothing was learned that could transfer")
    with RunStore.open(run) as store:
        config, tasks = stored_config(store.config, run), store.tasks()
    trained = _trained(config, tasks)
    changes = {
        "strategy": BestOfNConfig(k=wanted.k),
        "tasks": wanted.tasks if wanted.tasks is not None else _all_others(config, trained, run),
        "budget": None,
        "null_evaluations": max(config.null_evaluations, default_copies(wanted.k)),
        **({} if wanted.seed is None else {"seed": wanted.seed}),
        **({} if wanted.device is None else {"device": wanted.device, "model_device": None}),
    }
    base = resolve(config.model_copy(update=changes))
    adapted = resolve(config.model_copy(update={**changes, "start": f"{run}:{found.step}"}))
    chosen = chosen_tasks(base)
    keys = frozenset(task.key for task in trained)
    return Transfer(run, found.step, Side(out / BASE, base, chosen), Side(out / ADAPTED, adapted, chosen), keys)


def tasks_of(run: Path) -> TaskFilter:
    """The tasks of a run, all of them, as a choice for another."""
    with RunStore.open(run) as store:
        return TaskFilter(ids=tuple(task.id for task in store.tasks()))


def learned_tasks(run: Path) -> frozenset[str]:
    """Keys of the tasks that a run learned from. UsageError where there is no such run."""
    with RunStore.open(run) as store:
        return frozenset(task.key for task in _trained(stored_config(store.config, run), store.tasks()))


def sides_in(folder: Path) -> tuple[Path, Path] | None:
    """(base, adapted) where `folder` is that of a transfer; None otherwise."""
    sides = folder / BASE, folder / ADAPTED
    return sides if all(map(holds_run, sides)) else None


def transfers_beside(run: Path) -> tuple[tuple[Path, Path], ...]:
    """(base, adapted) of each complete transfer of `run` whose folder lies in the same one as `run` itself, also one of
    both ways (`there`, `back`).
    """
    beside = run.resolve().parent
    found = []
    for adapted in sorted((*beside.glob(f"*/{ADAPTED}"), *beside.glob(f"*/*/{ADAPTED}"))):
        sides = sides_in(adapted.parent)
        if sides is None:
            continue
        with RunStore.open(sides[0]) as base, RunStore.open(adapted) as store:
            start, is_complete = store.config.get("start"), base.is_complete() and store.is_complete()
        if is_complete and isinstance(start, str) and Path(start.rpartition(":")[0]).resolve() == run.resolve():
            found.append(sides)
    return tuple(found)


def check_side(side: Side) -> None:
    """UsageError where another run than this side stands in its directory."""
    if not holds_run(side.directory):
        return
    with RunStore.open(side.directory) as store:
        stored = stored_config(store.config, side.directory)
    if stored != side.config:
        different = [name for name in RunConfig.model_fields if getattr(stored, name) != getattr(side.config, name)]
        raise UsageError(
            f"{side.directory} holds a run with another {', '.join(different)}: give the same options as when it was"
            " begun, or another --out"
        )


def _trained(config: RunConfig, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    """Those that a run learned from; an outer loop only evaluates some."""
    chosen = config.strategy
    held_out = set(chosen.eval_ids or ()) if isinstance(chosen, RLVRConfig) and chosen.eval_every else set()
    return tuple(task for task in tasks if task.id not in held_out)


def _all_others(config: RunConfig, trained: tuple[Task, ...], run: Path) -> TaskFilter:
    known = {task.id for task in trained}
    every = chosen_tasks(config.model_copy(update={"strategy": BestOfNConfig(), "tasks": TaskFilter()}))
    others = tuple(task.id for task in every if task.id not in known)
    if not others:
        raise UsageError(f"{run} learned from every task of {config.suite}: name tasks, or the run of another suite")
    return TaskFilter(ids=others)
