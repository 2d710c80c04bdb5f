"""Rank correlations against scipy and by hand; every case in which one does not exist."""

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from assay.stats.correlation import by_quartile, partial_spearman, spearman, within_task_std


def test_spearman_equals_scipy_also_with_ties():
    rng = np.random.default_rng(0)
    for x in (rng.normal(size=40), rng.integers(0, 4, 40)):
        y = x + rng.normal(size=40)
        found, reference = spearman(x, y), spearmanr(x, y)
        assert found is not None
        assert (found.rho, found.p_value) == pytest.approx(tuple(reference))


def test_a_perfect_order_has_rho_one_and_no_p_value():
    found = spearman([1, 2, 3], [10, 20, 25])
    assert found is not None and (found.rho, found.p_value, found.n) == (pytest.approx(1.0), None, 3)


def test_few_points_or_a_constant_have_no_correlation():
    assert spearman([], []) is None
    assert spearman([1, 2], [2, 1]) is None
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert partial_spearman([1, 2, 3], [3, 1, 2], [1, 2, 3]) is None


def test_partial_correlation_is_that_of_the_rank_residuals():
    rng = np.random.default_rng(1)
    z = rng.normal(size=50)
    x, y = z + rng.normal(size=50), z + rng.normal(size=50)
    rx, ry, rz = rankdata(x), rankdata(y), rankdata(z)
    residual_x = rx - np.polyval(np.polyfit(rz, rx, 1), rz)
    residual_y = ry - np.polyval(np.polyfit(rz, ry, 1), rz)
    found = partial_spearman(x, y, z)
    assert found is not None
    assert found.rho == pytest.approx(np.corrcoef(residual_x, residual_y)[0, 1])


def test_a_common_cause_explains_the_correlation_away():
    rng = np.random.default_rng(2)
    length = rng.normal(size=2000)
    surprisal, speedup = length + rng.normal(size=2000), length + rng.normal(size=2000)
    plain, partial = spearman(surprisal, speedup), partial_spearman(surprisal, speedup, length)
    assert plain is not None and partial is not None
    assert plain.rho > 0.4 and abs(partial.rho) < 0.06


def test_a_constant_length_leaves_the_plain_correlation():
    x, y = [1, 2, 3, 4, 5], [2, 1, 4, 3, 5]
    assert partial_spearman(x, y, [7] * 5) == spearman(x, y)


def test_a_length_that_orders_everything_leaves_nothing_to_correlate():
    assert partial_spearman([1, 2, 3, 4], [2, 1, 4, 3], [1, 2, 3, 4]) is None


def test_quartiles_split_the_points_and_find_a_correlation_that_holds_in_one_only():
    x = np.arange(40.0)
    y = np.where(x < 10, -x, np.tile([1.0, 2.0, 1.5, 0.0], 10))
    found = by_quartile(x, y, split_by=x)
    assert [q.n for q in found] == [10, 10, 10, 10]
    assert [(q.low, q.high) for q in found][:2] == [(0.0, 9.0), (10.0, 19.0)]
    assert found[0].correlation is not None and found[0].correlation.rho == pytest.approx(-1.0)
    assert found[1].correlation is not None and abs(found[1].correlation.rho) < 0.5


def test_quartiles_of_ties_keep_equal_values_together():
    assert by_quartile([], [], []) == ()
    (only,) = by_quartile([1, 2, 3], [1, 2, 3], [5, 5, 5])
    assert (only.quartile, only.n) == (1, 3)


def test_within_task_std_leaves_out_single_values():
    found = within_task_std([1.0, 3.0, 7.0, 4.0, 4.0], ["a", "a", "b", "c", "c"])
    assert found == {"a": pytest.approx(2**0.5), "c": 0.0}


def test_missing_values_are_refused():
    with pytest.raises(ValueError, match="finite"):
        spearman([1.0, np.nan, 2.0], [1, 2, 3])
