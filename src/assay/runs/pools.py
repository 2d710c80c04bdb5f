"""From a store to the pool that selectors work on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from assay.core.records import Status
from assay.runs.store import PoolColumns, RunStore
from assay.selection.evaluation_order import shortlisted
from assay.selection.outcomes import SelectionReport, selection_report
from assay.selection.pool import Pool
from assay.selection.selectors import Selector
from assay.selection.shortlist import Shortlist

BOOTSTRAP_SEED = 0  # the same pool gives the same intervals


@dataclass(frozen=True)
class RunPool:
    """The judged samples of a run.

    waiting: samples that are still to be evaluated, as in an interrupted run. set_aside: samples that never will be,
    because the run evaluates its `shortlist` only; of these, none is in the pool, not even one whose program is known
    from a sample on the shortlist, since such samples are no random ones.
    """

    pool: Pool
    waiting: int
    set_aside: int
    shortlist: Shortlist | None


def run_pool(store: RunStore) -> RunPool:
    """The pool of a run, finished or not; its tasks are all those of the run, also those without a sample."""
    columns = store.pool_columns()
    shortlist, seed = stored_shortlist(store.config)
    total = len(columns.status)
    eligible = range(total) if shortlist is None else _shortlisted_rows(columns, shortlist, seed)
    judged = [row for row in eligible if columns.status[row] is not None]
    pool = _pool(_taken(columns, judged), [task.key for task in store.tasks()])
    return RunPool(pool, len(eligible) - len(judged), total - len(eligible), shortlist)


def stored_shortlist(config: Mapping[str, Any]) -> tuple[Shortlist | None, int]:
    """The shortlist of a stored configuration, if it has one, and the run's seed."""
    strategy = config.get("strategy")
    stored = strategy.get("shortlist") if isinstance(strategy, dict) else None
    return (None if stored is None else Shortlist.model_validate(stored)), int(config.get("seed", 0))


def shortlisted_programs(store: RunStore, shortlist: Shortlist, seed: int, round: int, task_key: str) -> set[str]:
    """Hashes of the programs that the shortlisted samples of a task and round gave; all its samples must be there."""
    columns = store.pool_columns(round, task_key)
    hashes = (columns.candidate_hash[row] for row in _shortlisted_rows(columns, shortlist, seed))
    return {found for found in hashes if found is not None}


def select(store: RunStore, selectors: tuple[Selector, ...] | None = None) -> SelectionReport:
    """The selectors' report on a run's pool, with a warning where samples wait for their evaluation."""
    found = run_pool(store)
    report = selection_report(found.pool, np.random.default_rng(BOOTSTRAP_SEED), selectors)
    return report.model_copy(update={"warnings": (*report.warnings, *unjudged_in_words(found, store))})


def unjudged_in_words(found: RunPool, store: RunStore) -> tuple[str, ...]:
    """What is not in the pool, and why; one sentence for each reason."""
    said = []
    if found.shortlist is not None:
        how = "at random" if found.shortlist.rank == "random" else f"by {found.shortlist.rank}"
        said.append(
            f"{found.set_aside} samples were set aside unevaluated: only the first {found.shortlist.top} of each task"
            f" {how} are in the pool."
        )
    if found.waiting and store.ended_by():
        said.append(f"{found.waiting} samples were not evaluated before the budget was spent, and are left out.")
    elif found.waiting:
        said.append(
            f"{found.waiting} samples are not evaluated yet and left out: assay resume {store.directory} goes on."
        )
    return tuple(said)


def _shortlisted_rows(columns: PoolColumns, shortlist: Shortlist, seed: int) -> list[int]:
    """Rows of the shortlisted samples of every task and round, in the order of the columns."""
    groups: dict[tuple[int, str], list[int]] = {}
    for row, group in enumerate(zip(columns.round, columns.task_key, strict=True)):
        groups.setdefault(group, []).append(row)
    chosen: list[int] = []
    for (round, task_key), rows in groups.items():
        logprobs: Sequence[Any] = [columns.mean_logprob[row] for row in rows]
        chosen += [rows[place] for place in shortlisted(shortlist, np.array(logprobs, float), seed, round, task_key)]
    return sorted(chosen)


def _taken(columns: PoolColumns, rows: Sequence[int]) -> PoolColumns:
    if len(rows) == len(columns.status):
        return columns
    return PoolColumns(
        *([column[row] for row in rows] for column in (getattr(columns, f.name) for f in fields(columns)))
    )


def _pool(columns: PoolColumns, tasks: Sequence[str]) -> Pool:
    return Pool.from_columns(
        task_key=columns.task_key,
        round=columns.round,
        index=columns.index,
        is_correct=[status == Status.CORRECT for status in columns.status],
        n_tokens=columns.n_tokens,
        sum_logprob=columns.sum_logprob,
        bottom_logprob=columns.bottom_logprob,
        speedup=columns.ratio,
        low=columns.low,
        high=columns.high,
        raw=columns.raw,
        verdict=columns.verdict,
        candidate_hash=columns.candidate_hash,
        reward=columns.reward,
        tasks=tasks,
    )
