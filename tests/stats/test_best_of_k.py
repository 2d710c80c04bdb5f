"""Best-of-K estimators against enumeration of every subset, on hand-computed cases, and on the published curve."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.stats import published
from assay.stats.best_of_k import (
    default_ks,
    equivalent_k,
    first_k,
    max_at_k,
    pass_at_k,
    rank_weights,
    selected_at_k,
    selected_weights,
    top_m_weights,
)


def _enumerated_weights(scores, values, n, k, m):
    """Chance of each eligible sample, by listing all k-subsets and, within each, all ways to break ties at the cut."""
    weights = np.zeros(len(scores))
    for subset in itertools.combinations(range(n), k):
        drawn = [i for i in subset if i < len(scores)]
        if not drawn:
            continue
        size = min(m, len(drawn))
        cut = sorted((scores[i] for i in drawn), reverse=True)[size - 1]
        certain = [i for i in drawn if scores[i] > cut]
        tied = [i for i in drawn if scores[i] == cut]
        choices = list(itertools.combinations(tied, size - len(certain)))
        for chosen in choices:
            best = max([*certain, *chosen], key=lambda i: (values[i], scores[i], -i))
            weights[best] += 1 / len(choices) / math.comb(n, k)
    return weights


@st.composite
def _pools(draw):
    n = draw(st.integers(1, 7))
    c = draw(st.integers(0, n))
    few = st.lists(st.integers(0, 3), min_size=c, max_size=c)
    return n, np.array(draw(few), float), np.array(draw(few), float)


# -- pass@k -----------------------------------------------------------------------------------------------------


def test_pass_at_k_equals_the_binomial_formula():
    for n, c in ((1, 0), (1, 1), (6, 2), (64, 18), (64, 64)):
        exact = [float(1 - Fraction(math.comb(n - c, k), math.comb(n, k))) for k in range(1, n + 1)]
        np.testing.assert_allclose(pass_at_k(n, c, np.arange(1, n + 1)), exact, rtol=1e-13)


def test_pass_at_k_is_exactly_one_once_a_subset_cannot_miss():
    assert pass_at_k(10, 4, [6, 7, 10]).tolist() == [1 - 1 / 210, 1.0, 1.0]


def test_pass_at_k_of_a_hundred_thousand_samples_is_stable():
    n, c, k = 100_000, 3, 50_000
    exact = float(1 - Fraction(math.comb(n - c, k), math.comb(n, k)))
    assert pass_at_k(n, c, k)[0] == pytest.approx(exact, rel=1e-12)
    assert pass_at_k(n, 1, 1)[0] == pytest.approx(1e-5, rel=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(4, 5, 1), (4, -1, 1), (4, 2, 0), (4, 2, 5)])
def test_impossible_counts_raise(n, c, k):
    with pytest.raises(ValueError):
        pass_at_k(n, c, k)


def test_default_sizes_are_powers_of_two_and_n():
    assert default_ks(0).tolist() == []
    assert default_ks(1).tolist() == [1]
    assert default_ks(64).tolist() == [1, 2, 4, 8, 16, 32, 64]
    assert default_ks(5).tolist() == [1, 2, 4, 5]


# -- ranked selection -------------------------------------------------------------------------------------------


def test_rank_weights_equal_the_binomial_formula():
    for n, k in itertools.product((1, 5, 12), (1, 2, 5, 12)):
        if k <= n:
            exact = [math.comb(n - j, k - 1) / math.comb(n, k) for j in range(1, n + 1)]
            np.testing.assert_allclose(rank_weights(n, k), exact, rtol=1e-12)


def test_max_at_k_of_three_values_by_hand():
    # Pairs of (0, 2, 5): maxima 2, 5, 5.
    np.testing.assert_allclose(max_at_k([5.0, 0.0, 2.0], [1, 2, 3]), [7 / 3, 4.0, 5.0])


def test_selected_at_k_by_hand_with_a_tie_and_a_failure():
    # Three samples, two correct and tied in score, worth 1 and 0; the failure is worth 0.
    np.testing.assert_allclose(selected_at_k([7, 7], [1, 0], 3, [1, 2, 3]), [1 / 3, 1 / 2, 1 / 2])


def test_a_subset_without_eligible_samples_is_worth_what_the_caller_says():
    np.testing.assert_allclose(selected_at_k([1.0], [3.0], 2, [1, 2], otherwise=1.0), [2.0, 3.0])
    np.testing.assert_allclose(selected_at_k([], [], 2, [1, 2], otherwise=1.0), [1.0, 1.0])


@settings(max_examples=60, deadline=None)
@given(_pools())
def test_selected_weights_equal_enumeration(pool):
    n, scores, values = pool
    weights = selected_weights(scores, n, range(1, n + 1))
    for k in range(1, n + 1):
        np.testing.assert_allclose(weights[k - 1], _enumerated_weights(scores, values, n, k, 1), atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(_pools(), st.integers(1, 5))
def test_top_m_weights_equal_enumeration(pool, m):
    n, scores, values = pool
    weights = top_m_weights(scores, values, n, range(1, n + 1), m)
    if m == 1:
        values = np.zeros(len(values))
    for k in range(1, n + 1):
        expected = _enumerated_weights(scores, values, n, k, m)
        np.testing.assert_allclose(weights[k - 1], expected, atol=1e-10)


def test_top_m_agrees_with_simulation_on_a_larger_pool():
    rng = np.random.default_rng(5)
    n, c, k, m = 60, 25, 20, 3
    scores, values = rng.integers(0, 6, c).astype(float), rng.lognormal(size=c)
    hits = []
    for _ in range(20_000):
        drawn = rng.permutation(n)[:k]
        drawn = drawn[drawn < c]
        jitter = rng.random(len(drawn))
        top = drawn[np.lexsort((jitter, -scores[drawn]))[:m]]
        hits.append(values[top].max() if len(top) else 0.0)
    exact = (top_m_weights(scores, values, n, [k], m) @ values)[0]
    assert exact == pytest.approx(np.mean(hits), abs=5 * np.std(hits) / len(hits) ** 0.5)


def test_timing_everything_is_max_at_k():
    rng = np.random.default_rng(2)
    scores, values = rng.random(9), rng.random(9)
    ks = [1, 3, 9, 12]
    np.testing.assert_allclose(
        top_m_weights(scores, values, 12, ks, m=9) @ values, max_at_k(np.append(values, np.zeros(3)), ks), atol=1e-12
    )


def test_weights_add_up_to_the_chance_of_an_eligible_sample():
    rng = np.random.default_rng(3)
    scores, values = rng.normal(size=400), rng.normal(size=400)
    ks = default_ks(1000)
    for m in (1, 3, 400):
        np.testing.assert_allclose(
            top_m_weights(scores, values, 1000, ks, m).sum(1), pass_at_k(1000, 400, ks), atol=1e-9
        )


def test_a_score_that_is_not_a_number_raises():
    with pytest.raises(ValueError, match="every eligible sample needs one"):
        selected_weights([1.0, math.nan], 3, [1])


def test_first_k_is_the_running_maximum_in_drawn_order():
    assert first_k([0, 3, 1, 4], [1, 2, 3, 4]).tolist() == [0, 3, 3, 4]


# -- the published curve and equivalent K -----------------------------------------------------------------------


def test_published_task_rates_average_to_the_published_single_sample_rate():
    successes = [round(64 * task.sample_fast_1) for task in published.BEST_OF_N_TASKS]
    curves = [pass_at_k(64, c, published.BEST_OF_N_KS) for c in successes]
    mean = np.mean(curves, axis=0)
    assert mean[0] == pytest.approx(0.309, abs=5e-4)
    assert mean[-1] == 1.0


def test_published_adaptation_is_worth_less_than_one_sample():
    found = equivalent_k(published.BEST_OF_N_KS, published.BEST_OF_N_CURVE, published.BOA_MEAN)
    assert found.place == "below" and found.k is None and str(found) == "< 1"


def test_published_surprisal_selection_is_worth_between_two_and_four_samples():
    figure = published.SELECTORS["surprisal"].fast_1
    found = equivalent_k(published.BEST_OF_N_KS, published.BEST_OF_N_CURVE, figure)
    share = (0.8 - 0.724) / (0.895 - 0.724)
    assert found.k == pytest.approx(2 * 2**share)


def test_a_figure_above_the_curve_has_no_equivalent():
    found = equivalent_k([1, 2, 64], [0.1, 0.2, 0.3], 0.31)
    assert found.k is None and str(found) == "> 64"


def test_a_figure_on_a_plateau_gets_the_smallest_k():
    assert equivalent_k([1, 2, 4, 8], [0.2, 0.5, 0.5, 0.5], 0.5).k == pytest.approx(2.0)
    assert equivalent_k([1, 2, 4], [0.2, 0.5, 0.6], 0.2).k == 1.0


def test_a_falling_or_empty_curve_raises():
    with pytest.raises(ValueError, match="does not fall"):
        equivalent_k([1, 2], [0.5, 0.4], 0.45)
    with pytest.raises(ValueError):
        equivalent_k([], [], 0.5)
