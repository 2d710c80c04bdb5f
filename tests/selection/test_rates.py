"""Per-sample rates and task success of one pool."""

import numpy as np
import pytest
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.selection.pool import Pool
from assay.selection.rates import pool_rates


def test_rates_average_over_tasks_and_differ_from_task_success():
    attempts = [attempt("a", 0, ratio=2.0, verdict=Verdict.FASTER), *(attempt("a", i) for i in (1, 2, 3))]
    attempts += [attempt("b", 0, ratio=1.0, raw=1.2, verdict=Verdict.SAME), attempt("b", 1)]
    found = pool_rates(Pool.from_attempts(attempts, tasks=["a", "b", "c"]), np.random.default_rng(0))
    assert (found.tasks, found.tasks_without_samples, found.samples) == (2, 1, 6)
    assert found.correct == found.sample_fast_1_raw == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert found.sample_fast_1_verified == pytest.approx(1 / 8)
    assert (found.task_success_raw, found.task_success_verified) == (1.0, 0.5)
    assert found.interval is not None and found.interval.low <= 1 / 8 <= found.interval.high


def test_an_empty_pool_has_no_rates():
    with pytest.raises(UsageError, match="no stored attempts"):
        pool_rates(Pool.from_attempts([], tasks=["a"]), np.random.default_rng(0))
