"""Rank correlations along a path, on cases worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.stats.clustered import rho_path
from assay.stats.correlation import spearman

Y = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
TASKS = ["a", "a", "a", "b", "b", "b"]


def path(x_SN, y=Y, tasks=TASKS, **more):
    return rho_path(x_SN, y, tasks, np.random.default_rng(0), resamples=200, **more)


def test_rho_and_its_change_since_the_first_step_are_those_worked_out_by_hand():
    # Ranks 1 2 3 4 6 5 against 1..6: 1 - 6 * 2 / (6 * 35) = 1 - 12 / 210.
    first, second, third = path([[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5], [6, 5, 4, 3, 2, 1]])
    assert (first.rho, second.rho, third.rho) == (pytest.approx(1.0), pytest.approx(1 - 12 / 210), pytest.approx(-1.0))
    assert first.change is None and first.change_interval is None
    assert second.change == pytest.approx(-12 / 210) and third.change == pytest.approx(-2.0)
    assert [one.n for one in (first, second, third)] == [6, 6, 6]


def test_the_bottom_quartile_is_that_of_each_step():
    x = np.array([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]], float)
    y = [1, 2, 3, 0, 0, 0, 0, 0, 0, 6, 5, 4]
    first, second = path(x, y, ["a", "b"] * 6, lowest=0.25)
    assert (first.n, second.n) == (3, 3)
    assert first.rho == pytest.approx(1.0)  # of 1 2 3 with 1 2 3
    assert second.rho == pytest.approx(1.0)  # of 3 2 1 with 6 5 4


def test_equal_weights_have_a_change_of_0_and_no_interval_of_it():
    _, again = path([[3, 1, 2, 6, 5, 4]] * 2)
    assert again.change == 0.0 and again.change_interval is None and again.interval is not None


def test_a_constant_variable_has_no_correlation():
    (found,) = path([[1.0] * 6])
    assert (found.rho, found.interval, found.change) == (None, None, None)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_points_have_no_correlation(n):
    (found,) = path([[1.0, 2.0][:n]], Y[:n], TASKS[:n])
    assert (found.rho, found.n) == (None, n)
    (found,) = path([[1.0, 2.0][:n]], Y[:n], TASKS[:n], lowest=0.25)
    assert found.rho is None


def test_one_task_has_a_correlation_and_no_interval():
    (found,) = path([[2, 1, 3, 4, 6, 5]], tasks=["a"] * 6)
    assert found.rho is not None and found.interval is None


def test_missing_values_and_other_lengths_are_refused():
    with pytest.raises(ValueError, match="finite"):
        path([[1, 2, 3, 4, 5, float("nan")]])
    with pytest.raises(ValueError, match="a path of shape"):
        path([[1, 2, 3]])


@given(st.lists(st.integers(0, 5), min_size=4, max_size=20), st.integers(0, 10**6))
def test_without_ties_or_with_them_rho_is_spearmans(x, seed):
    y = np.random.default_rng(seed).integers(0, 5, len(x)).tolist()
    (found,) = rho_path([x], y, list(range(len(x))), np.random.default_rng(0), resamples=20)
    expected = spearman(x, y)
    assert found.rho == (None if expected is None else pytest.approx(expected.rho))
    if found.interval is not None:
        assert -1 <= found.interval.low <= found.interval.high <= 1
