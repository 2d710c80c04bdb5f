"""Whether surprisal says anything about speedup in a pool: rank correlations over the correct samples."""

import numpy as np

from assay.core.records import Record
from assay.selection.pool import Pool
from assay.stats.correlation import (
    Correlation,
    QuartileCorrelation,
    by_quartile,
    partial_spearman,
    spearman,
    within_task_std,
)


class SurprisalDiagnostics(Record):
    """Surprisal against speedup over the n correct samples that have both.

    pooled, given_length: over all tasks together (what was published); tasks differ in both variables, so a pooled
    correlation can arise from tasks alone. mean_within_task: mean of the per-task rho over `tasks_with_rho` tasks, the
    one that selection within a task can use; within_task: that rho by task. quartiles: by surprisal, 1 = least
    surprising. within_task_std: of the mean log-probability, by task. None where a figure does not exist.
    """

    n: int
    pooled: Correlation | None
    given_length: Correlation | None
    mean_within_task: float | None
    tasks_with_rho: int
    within_task: dict[str, float]
    quartiles: tuple[QuartileCorrelation, ...]
    within_task_std: dict[str, float]


def surprisal_diagnostics(pool: Pool) -> SurprisalDiagnostics:
    """Correlations of surprisal (minus mean log-probability) and speedup ratio, and the spread of the former."""
    s = pool.samples
    usable = s.is_correct & np.isfinite(s.mean_logprob) & np.isfinite(s.speedup)
    surprisal, speedup, length = -s.mean_logprob[usable], s.speedup[usable], s.n_tokens[usable]
    task = pool.task[usable]
    by_task = {key: spearman(surprisal[task == p], speedup[task == p]) for p, key in enumerate(pool.task_keys)}
    within = {key: found.rho for key, found in by_task.items() if found is not None}
    return SurprisalDiagnostics(
        n=int(usable.sum()),
        pooled=spearman(surprisal, speedup),
        given_length=partial_spearman(surprisal, speedup, length),
        mean_within_task=float(np.mean(list(within.values()))) if within else None,
        tasks_with_rho=len(within),
        within_task=within,
        quartiles=by_quartile(surprisal, speedup, split_by=surprisal),
        within_task_std={str(k): v for k, v in within_task_std(surprisal, [pool.task_keys[p] for p in task]).items()},
    )
