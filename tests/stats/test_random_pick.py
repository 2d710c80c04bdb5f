import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from assay.stats.random_pick import random_pick_test, tasks_for_random_pick


def by_enumeration(success, chance):
    """Both tails of the number of successes, over all outcomes."""
    total, upper, lower = sum(success), 0.0, 0.0
    for outcome in itertools.product((0, 1), repeat=len(chance)):
        weight = np.prod([p if won else 1 - p for won, p in zip(outcome, chance, strict=True)])
        upper += weight * (sum(outcome) >= total - 1e-9)
        lower += weight * (sum(outcome) <= total + 1e-9)
    return min(1.0, 2 * min(upper, lower))


@given(st.lists(st.tuples(st.booleans(), st.floats(0.01, 0.99)), min_size=1, max_size=8))
def test_the_p_value_is_that_of_enumeration(pairs):
    success, chance = [float(won) for won, _ in pairs], [p for _, p in pairs]
    assert random_pick_test(success, chance).p_value == pytest.approx(by_enumeration(success, chance))


def test_equal_chances_give_the_binomial_test():
    found = random_pick_test([1, 1, 1, 1, 1, 0], [0.5] * 6)
    assert found.p_value == pytest.approx(2 * binom.sf(4, 6, 0.5))
    assert (found.observed, found.expected, found.deciding) == (5, 3, 6)


def test_tasks_that_cannot_decide_take_no_part():
    found = random_pick_test([1, 0, 1], [1.0, 0.0, 0.5])
    assert found.deciding == 1 and found.p_value == 1.0
    assert random_pick_test([1, 0], [1.0, 0.0]).p_value is None
    assert random_pick_test([], []).p_value is None


def test_a_fraction_from_ties_is_conservative():
    assert random_pick_test([1, 1, 1, 0.5], [0.5] * 4).p_value == random_pick_test([1, 1, 1, 1], [0.5] * 4).p_value


def test_the_test_holds_its_level_where_a_sign_test_would_not():
    rng, chance = np.random.default_rng(0), np.full(30, 0.9)
    found = [random_pick_test(rng.random(30) < chance, chance).p_value for _ in range(2000)]
    assert np.mean([p_value is not None and p_value <= 0.05 for p_value in found]) <= 0.06


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="one of each"):
        random_pick_test([1], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"0 \.\. 1"):
        random_pick_test([2], [0.5])


def test_tasks_needed_follow_the_normal_approximation():
    # d = 1/4, v = 1/4: 7.849 * (1/4) / (1/16) = 31.4
    assert tasks_for_random_pick([1, 1, 1, 0], [0.5] * 4) == 32
    assert tasks_for_random_pick([1, 0], [0.5, 0.5]) is None
    assert tasks_for_random_pick([1, 0], [1.0, 0.0]) is None
    assert tasks_for_random_pick([], []) is None
