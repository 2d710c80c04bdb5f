"""Surprisal against speedup in a pool."""

import pytest
from selection_attempts import attempt

from assay.selection.diagnostics import surprisal_diagnostics
from assay.selection.pool import Pool


def test_a_correlation_between_tasks_is_told_apart_from_one_within_them():
    # Within each task the surprising samples are slower; the task with the larger surprisal is faster altogether.
    pool = Pool.from_attempts(
        attempt(task, i, [-(base + i)] * (i % 2 + 1), ratio=base * 2.0 - i * 0.1)
        for task, base in (("a", 1), ("b", 10))
        for i in range(5)
    )
    found = surprisal_diagnostics(pool)
    assert found.n == 10 and found.tasks_with_rho == 2
    assert found.mean_within_task == pytest.approx(-1.0)
    assert found.pooled is not None and found.pooled.rho > 0.4
    assert found.within_task_std == {"a": pytest.approx(2.5**0.5), "b": pytest.approx(2.5**0.5)}
    assert sum(q.n for q in found.quartiles) == 10


def test_a_pool_without_correct_samples_has_no_correlation():
    found = surprisal_diagnostics(Pool.from_attempts([attempt("a", 0), attempt("a", 1)]))
    assert (found.n, found.pooled, found.mean_within_task, found.quartiles) == (0, None, None, ())
