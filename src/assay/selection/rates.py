"""The two metrics of a pool that must not be mixed: the rate of single samples, and the success of whole tasks.

"90% of tasks solved by 64 samples" and "30% of samples fast" can be the same run. Methods are compared on one of them.
"""

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.selection.pool import Pool
from assay.stats.intervals import Interval, cluster_bootstrap


class PoolRates(Record):
    """Rates over `tasks` tasks that have samples; `tasks_without_samples` others are left out of every figure.

    correct, sample_fast_1_*: share of a task's samples, averaged over tasks. task_success_*: share of tasks with at
    least one such sample. raw: the point estimate is above 1; verified: the verdict is `faster`. interval: of
    sample_fast_1_verified, bootstrap over tasks and samples; None where nothing varies.
    """

    tasks: int
    tasks_without_samples: int
    samples: int
    correct: float
    sample_fast_1_raw: float
    sample_fast_1_verified: float
    task_success_raw: float
    task_success_verified: float
    interval: Interval | None


def pool_rates(pool: Pool, rng: np.random.Generator, level: float = 0.95) -> PoolRates:
    """Both metrics under both rules. UsageError for a pool without samples."""
    tasks = [samples for _, samples in pool.by_task() if len(samples)]
    if not tasks:
        raise UsageError("There are no rates to report: the run has no stored attempts.")
    raw, verified = [s.is_fast_raw for s in tasks], [s.is_fast_verified for s in tasks]
    return PoolRates(
        tasks=len(tasks),
        tasks_without_samples=len(pool.task_keys) - len(tasks),
        samples=len(pool),
        correct=float(np.mean([s.is_correct.mean() for s in tasks])),
        sample_fast_1_raw=float(np.mean([of_task.mean() for of_task in raw])),
        sample_fast_1_verified=float(np.mean([of_task.mean() for of_task in verified])),
        task_success_raw=float(np.mean([of_task.any() for of_task in raw])),
        task_success_verified=float(np.mean([of_task.any() for of_task in verified])),
        interval=cluster_bootstrap(verified, rng, level=level),
    )
