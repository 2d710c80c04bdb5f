"""Intervals on known cases, their coverage where a simulation is quick, and every degenerate case."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from assay.stats import published
from assay.stats.intervals import (
    bootstrap_tasks,
    clopper_pearson,
    geometric_mean,
    t_interval,
    wilson,
)


def test_clopper_pearson_of_no_and_all_successes_is_the_closed_form():
    none, full = clopper_pearson(0, 5), clopper_pearson(5, 5)
    assert none is not None and full is not None
    assert (none.low, none.high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 5)))
    assert (full.low, full.high) == (pytest.approx(0.025 ** (1 / 5)), 1.0)


def test_wilson_of_half_is_the_closed_form():
    found = wilson(50, 100)
    z = 1.959963984540054
    half = z / (1 + z**2 / 100) * (0.25 / 100 + z**2 / (4 * 100**2)) ** 0.5
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))


def test_a_rate_of_nothing_has_no_interval():
    assert clopper_pearson(0, 0) is None and wilson(0, 0) is None
    with pytest.raises(ValueError):
        clopper_pearson(3, 2)


def test_published_seeds_give_the_published_mean_and_std():
    found = t_interval(published.BOA_BY_SEED.fast_1)
    assert found is not None and found.std is not None and found.interval is not None
    assert (round(found.mean, 3), round(found.std, 3)) == (published.BOA_MEAN, published.BOA_STD)
    # 4.3027 = 97.5% quantile of t with 2 degrees of freedom.
    assert found.interval.high - found.mean == pytest.approx(4.30265 * found.std / 3**0.5, rel=1e-5)


def test_a_mean_of_none_one_or_equal_values_has_no_interval():
    assert t_interval([]) is None
    one, equal = t_interval([2.0]), t_interval([2.0, 2.0, 2.0])
    assert one is not None and (one.mean, one.std, one.interval) == (2.0, None, None)
    assert equal is not None and (equal.std, equal.interval) == (0.0, None)


def test_geometric_mean_of_two_and_eight_is_four():
    found = geometric_mean([2.0, 8.0])
    assert found is not None and found.value == pytest.approx(4.0)
    assert found.interval is not None and found.interval.low * found.interval.high == pytest.approx(16.0)


def test_geometric_mean_refuses_failures_and_missing_values():
    assert geometric_mean([]) is None
    with pytest.raises(ValueError, match="positive"):
        geometric_mean([1.0, 0.0])
    with pytest.raises(ValueError, match="finite"):
        geometric_mean([1.0, float("nan")])


def test_bootstrap_over_tasks_is_reproducible_and_holds_the_mean():
    values = np.linspace(0, 1, 12)
    first = bootstrap_tasks(values, np.random.default_rng(1))
    assert first == bootstrap_tasks(values, np.random.default_rng(1))
    assert first is not None and first.low < values.mean() < first.high


def test_bootstrap_without_variation_between_tasks_has_no_interval():
    rng = np.random.default_rng(1)
    assert bootstrap_tasks([], rng) is None
    assert bootstrap_tasks([0.3], rng) is None
    assert bootstrap_tasks([0.3, 0.3, 0.3], rng) is None


def test_bca_agrees_with_scipy():
    values = np.random.default_rng(5).lognormal(size=15)
    found = bootstrap_tasks(values, np.random.default_rng(0), resamples=40_000, method="bca")
    reference = bootstrap((values,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(1))
    assert found is not None
    low, high = reference.confidence_interval
    assert found.low == pytest.approx(low, abs=0.03 * (high - low))
    assert found.high == pytest.approx(high, abs=0.03 * (high - low))


def test_intervals_over_tasks_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(11)
    for method in ("percentile", "bca"):
        found = [bootstrap_tasks(rng.random(25), rng, resamples=400, method=method) for _ in range(400)]
        covered = np.mean([i is not None and i.low <= 0.5 <= i.high for i in found])
        assert 0.88 <= covered <= 0.98
