"""Sample sizes against simulation with the real tests, and what the sentences say and do not say."""

from math import ceil

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from assay.stats.paired import mcnemar, sign_test, signed_rank, smallest_p
from assay.stats.power import (
    fewest_differing,
    mcnemar_in_words,
    rate_in_words,
    sign_test_in_words,
    signed_rank_in_words,
    tasks_for_interval,
    tasks_for_mcnemar,
    tasks_for_sign_test,
    tasks_for_signed_rank,
    unseen_share,
)


def _outcomes(both, only_a, only_b, neither):
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


# -- sample sizes -----------------------------------------------------------------------------------------------


def test_sign_test_size_by_hand():
    # p = 0.75: (1.95996 + 0.84162)^2 / (4 * 0.0625) = 31.4
    assert tasks_for_sign_test(sign_test([1, 1, 1, -1])) == 32
    # Half of the pairs are ties, so twice as many tasks.
    assert tasks_for_sign_test(sign_test([1, 1, 1, -1, 0, 0, 0, 0])) == 63


def test_mcnemar_size_by_hand():
    # d = 0.4, diff = 0.2: (1.95996 sqrt 0.4 + 0.84162 sqrt 0.36)^2 / 0.04 = 76.1
    assert tasks_for_mcnemar(mcnemar(*_outcomes(3, 3, 1, 3))) == 77


def test_a_size_is_at_least_what_an_exact_test_can_use():
    # Two-sided at 5%, fewer than 6 unanimous pairs can never be significant.
    assert tasks_for_sign_test(sign_test([1, 1, 1])) == 8
    assert tasks_for_sign_test(sign_test([1, 1, 1]), power=0.2) == 6


def test_no_observed_difference_needs_no_finite_number():
    assert tasks_for_sign_test(sign_test([0, 0])) is None
    assert tasks_for_sign_test(sign_test([1, -1])) is None
    assert tasks_for_mcnemar(mcnemar(*_outcomes(2, 1, 1, 2))) is None
    assert tasks_for_signed_rank([0.0, 1.0]) is None
    assert tasks_for_signed_rank([-1.0, 1.0]) is None


def test_mcnemar_at_the_computed_size_has_about_the_promised_power():
    rng = np.random.default_rng(0)
    n = tasks_for_mcnemar(mcnemar(*_outcomes(3, 3, 1, 3)))
    assert n is not None
    draws = rng.multinomial(n, [0.3, 0.3, 0.1, 0.3], size=600)
    found = [mcnemar(*_outcomes(*row)).p_value for row in draws]
    power = np.mean([p is not None and p <= 0.05 for p in found])
    # The formula is asymptotic and the exact test is conservative, so a little less than 0.8 is expected.
    assert 0.68 <= power <= 0.88


def test_signed_rank_at_the_computed_size_has_about_the_promised_power():
    rng = np.random.default_rng(1)
    n = tasks_for_signed_rank(0.3 + norm.ppf((np.arange(1000) + 0.5) / 1000))
    # P(X1 + X2 > 0) = Phi(0.3 sqrt 2) = 0.6643, hence 7.849 / (3 * 0.1643^2) = 96.9
    assert n == 97
    found = [signed_rank(rng.normal(0.3, 1, n)).p_value for _ in range(600)]
    assert 0.72 <= np.mean([p is not None and p <= 0.05 for p in found]) <= 0.88


# -- sentences --------------------------------------------------------------------------------------------------


def test_a_rate_of_few_tasks_is_called_rough():
    assert rate_in_words(3, 5) == (
        "3 of 5 tasks (60%; 95% interval 15% to 95%): with so few tasks the rate is known only roughly."
    )
    assert "roughly" not in rate_in_words(300, 500)
    assert rate_in_words(0, 0) == "No tasks were tried, so there is no rate."


def test_a_significant_difference_names_the_leader():
    text = mcnemar_in_words(mcnemar(*_outcomes(2, 1, 12, 3)), "confidence", "surprisal")
    assert "the data support a difference in favour of surprisal over confidence; about" in text


def test_too_few_pairs_are_said_to_be_unable_to_show_anything():
    text = sign_test_in_words(sign_test([1, 1, 1] + [0] * 7), "surprisal", "confidence")
    assert "with only 3 tasks that differ no outcome could have been significant" in text
    assert text.endswith("about 27 tasks would be needed to show it.")
    assert "support a difference in favour" not in text


def test_an_unsupported_difference_is_not_called_an_absence_of_difference():
    text = mcnemar_in_words(mcnemar(*_outcomes(5, 6, 4, 5)), "a", "b")
    assert "the data do not support a difference; were the true difference" in text


def test_identical_outcomes_support_neither_claim():
    text = mcnemar_in_words(mcnemar(*_outcomes(5, 0, 0, 5)), "a", "b")
    assert "no pair differs): the data neither show a difference nor show that there is none. Up to 26% of" in text
    assert "share no tasks" in mcnemar_in_words(mcnemar([], []), "a", "b")
    assert "share no tasks" in sign_test_in_words(sign_test([]), "a", "b")
    assert "share no tasks" in signed_rank_in_words(signed_rank([]), [], "a", "b")


def test_an_adjusted_p_value_decides_and_is_named():
    test = mcnemar(*_outcomes(2, 12, 2, 3))
    assert test.p_value is not None and test.p_value < 0.05
    text = mcnemar_in_words(test, "a", "b", adjusted_p=0.06)
    assert "p = 0.06, adjusted" in text and "do not support" in text


def test_speedup_ratios_are_told_as_a_geometric_mean():
    differences = np.log([2.0] * 8)
    text = signed_rank_in_words(signed_rank(differences), differences, "a", "b")
    assert text.startswith("Over 8 tasks the speedup of a is 2 times that of b in the geometric mean")
    assert "in favour of a over b; about 11 tasks would show one of this size again." in text


def test_what_no_pair_shows_is_bounded_by_the_exact_interval():
    for n in (1, 2, 20):
        # The one-sided 95% limit of Clopper and Pearson is the upper end of their two-sided 90% interval.
        assert unseen_share(n) == pytest.approx(binomtest(0, n).proportion_ci(0.9, "exact").high)
    with pytest.raises(ValueError, match="no task"):
        unseen_share(0)


def test_the_fewest_pairs_that_differ_are_those_of_the_exact_test():
    for alternative in ("two-sided", "greater"):
        fewest = fewest_differing(0.05, alternative)
        assert smallest_p(fewest, alternative) <= 0.05 < smallest_p(fewest - 1, alternative)


def test_an_interval_narrows_with_the_root_of_the_tasks():
    # Half as wide as the estimate is high at n = 10: z 1.96 + 0.84 standard errors of a quarter of it are wanted.
    assert tasks_for_interval(1.0, 1 - 1.96 / 2, 1 + 1.96 / 2, 10) == ceil(10 * ((1.96 + 0.8416) * 0.5) ** 2)
    assert tasks_for_interval(0.0, -1, 1, 10) is None


def test_words_fit_one_task_and_no_difference():
    assert "of 1 task, a is ahead" in sign_test_in_words(sign_test([1]), "a", "b").lower()
    assert "with only 1 task that differs no outcome" in sign_test_in_words(sign_test([1, 0]), "a", "b")
    assert "statistic 0: no pair differs)" in signed_rank_in_words(signed_rank([0.0, 0.0]), [0.0, 0.0], "a", "b")
    assert "these balance, so there is no size to plan for" in sign_test_in_words(sign_test([1, -1]), "a", "b")
    assert rate_in_words(0, 1, "copies").startswith("0 of 1 copy (0%;")


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_a_one_sided_test_is_called_one_sided(alternative):
    assert "one-sided" in sign_test_in_words(sign_test([1, 1, -1], alternative), "a", "b")
