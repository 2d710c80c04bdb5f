"""From a store to the pool that selectors work on."""

import numpy as np

from assay.runs.store import RunStore
from assay.selection.outcomes import SelectionReport, selection_report
from assay.selection.pool import Pool
from assay.selection.selectors import Selector

BOOTSTRAP_SEED = 0  # the same pool gives the same intervals


def load_pool(store: RunStore) -> tuple[Pool, int]:
    """All samples that are judged, and how many are not yet, as in an interrupted run."""
    columns = store.pool_columns()
    judged = [row for row, status in enumerate(columns.status) if status is not None]

    def kept(column: list) -> list:
        return column if len(judged) == len(column) else [column[row] for row in judged]

    pool = Pool.from_columns(
        task_key=kept(columns.task_key),
        round=kept(columns.round),
        index=kept(columns.index),
        is_correct=[status == "correct" for status in kept(columns.status)],
        n_tokens=kept(columns.n_tokens),
        sum_logprob=kept(columns.sum_logprob),
        bottom_logprob=kept(columns.bottom_logprob),
        speedup=kept(columns.ratio),
        low=kept(columns.low),
        high=kept(columns.high),
        raw=kept(columns.raw),
        verdict=kept(columns.verdict),
        candidate_hash=kept(columns.candidate_hash),
        reward=kept(columns.reward),
        tasks=[task.key for task in store.tasks()],
    )
    return pool, len(columns.status) - len(judged)


def select(store: RunStore, selectors: tuple[Selector, ...] | None = None) -> SelectionReport:
    """The selectors' report on a run's pool, with a warning where samples wait for their evaluation."""
    pool, waiting = load_pool(store)
    report = selection_report(pool, np.random.default_rng(BOOTSTRAP_SEED), selectors)
    if not waiting:
        return report
    warning = f"{waiting} samples are not evaluated yet and left out: assay resume {store.directory} goes on."
    return report.model_copy(update={"warnings": (*report.warnings, warning)})
