"""Paired tests by enumeration of all signs, against scipy, and on the published figures."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wilcoxon

from assay.stats import published
from assay.stats.paired import cohens_h, holm, mcnemar, sign_test, signed_rank, smallest_p


def _enumerated_p(differences, alternative):
    d = np.asarray(differences, float)
    d = d[d != 0]
    sizes = np.abs(d)
    ranks = np.array([(sizes < s).sum() + ((sizes == s).sum() + 1) / 2 for s in sizes])
    observed = ranks[d > 0].sum()
    sums = np.array([ranks[list(signs)].sum() for signs in itertools.product((False, True), repeat=len(d))])
    upper, lower = np.mean(sums >= observed - 1e-9), np.mean(sums <= observed + 1e-9)
    return {"greater": upper, "less": lower, "two-sided": min(1.0, 2 * min(upper, lower))}[alternative]


# -- published figures ------------------------------------------------------------------------------------------


def test_published_effect_size():
    rates = published.SELECTORS["surprisal"].fast_1, published.SELECTORS["confidence"].fast_1
    assert round(cohens_h(*rates), 2) == published.COHENS_H


def test_published_sign_test_is_one_sided():
    found = sign_test([1, 1, 1], "greater")
    assert (found.wins, found.losses, found.p_value) == (3, 0, pytest.approx(published.SIGN_TEST_P))


def test_published_signed_rank_p_is_two_sided_over_ten_pairs():
    # Ten untied pairs whose negative ranks add up to 10.
    differences = [-1, -2, -3, -4, 5, 6, 7, 8, 9, 10]
    found = signed_rank(differences)
    assert found.n == published.WILCOXON_PAIRS
    assert found.statistic == published.WILCOXON_STATISTIC
    assert found.p_value is not None and round(found.p_value, 3) == published.WILCOXON_P


def test_published_feedback_comparison_of_three_seeds_cannot_be_significant():
    differences = np.subtract(published.SDPO_PROMPT_ONLY.fast_1, published.SDPO_FEEDBACK.fast_1)
    assert sign_test(differences).p_value == smallest_p(3) == pytest.approx(0.25)


# -- tests ------------------------------------------------------------------------------------------------------


def test_sign_test_leaves_ties_out():
    found = sign_test([2, 0, -1, 3, 0])
    assert (found.wins, found.losses, found.ties) == (2, 1, 2)
    assert found.p_value == pytest.approx(1.0)


def test_pairs_that_never_differ_have_no_p_value():
    assert sign_test([]).p_value is None
    assert sign_test([0, 0]).p_value is None
    assert signed_rank([0.0]).p_value is None
    assert mcnemar([], []).p_value is None
    assert mcnemar([True, False], [True, False]).p_value is None


def test_mcnemar_counts_the_table_and_tests_the_discordant_pairs():
    a = [1, 1, 1, 1, 1, 0, 0, 1]
    b = [1, 0, 0, 0, 0, 1, 0, 0]
    found = mcnemar(a, b)
    assert (found.both, found.only_a, found.only_b, found.neither, found.n) == (1, 5, 1, 1, 8)
    assert found.p_value == pytest.approx(2 * (1 + 6) / 64)


def test_pairs_of_different_lengths_raise():
    with pytest.raises(ValueError, match="same tasks"):
        mcnemar([True], [True, False])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-4, 4), min_size=1, max_size=9).filter(any),
    st.sampled_from(["two-sided", "greater", "less"]),
)
def test_signed_rank_with_ties_and_zeros_equals_enumeration(differences, alternative):
    assert signed_rank(differences, alternative).p_value == pytest.approx(_enumerated_p(differences, alternative))


def test_signed_rank_without_ties_equals_scipy():
    rng = np.random.default_rng(0)
    for n in (4, 20, 50, 120):
        d = rng.normal(0.2, 1, n)
        found, reference = signed_rank(d), wilcoxon(d, method="exact" if n <= 50 else "asymptotic")
        assert found.method == ("exact" if n <= 50 else "normal")
        assert (found.statistic, found.p_value) == pytest.approx(tuple(reference))


def test_log_ratios_treat_a_speedup_and_its_inverse_alike():
    found = signed_rank(np.log([2.0, 0.5]))
    assert found.rank_sum_positive == found.rank_sum_negative == 1.5
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match="finite"):
        signed_rank(np.log([0.0]))


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_smallest_p_is_reached_by_unanimous_pairs(alternative):
    for n in (1, 3, 6):
        expected = pytest.approx(smallest_p(n, alternative))
        assert sign_test(np.ones(n), alternative).p_value == expected
        assert signed_rank(np.arange(1, n + 1), alternative).p_value == expected
        assert mcnemar(np.ones(n), np.zeros(n), alternative).p_value == expected


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


def test_holm_leaves_out_tests_without_a_p_value_and_stays_at_most_one():
    assert holm([None, 0.02, 0.9, 0.8]) == (None, pytest.approx(0.06), 1.0, 1.0)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert all(a is not None and a >= p for a, p in zip(adjusted, p_values, strict=True))
    in_order = [adjusted[i] for i in np.argsort(p_values, kind="stable")]
    assert in_order == sorted(in_order, key=float)
