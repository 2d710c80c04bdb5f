import numpy as np
import pytest
from analysis_views import FAST, LUCKY, SLOW, WRONG, S, make_pool, make_view

from assay.core.records import Verdict
from assay.report.analysis_curves import evaluated_first, scaling
from assay.report.analysis_others import other_runs
from assay.report.analysis_words import tasks_for_gain, tasks_for_rate, tasks_for_two_shares
from assay.selection.selectors import build_selectors
from assay.selection.shortlist import Shortlist
from assay.stats.intervals import clopper_pearson


def rng():
    return np.random.default_rng(0)


def figures(points):
    return [point.value for point in points]


def test_the_curve_of_one_success_in_four_samples_of_one_of_two_tasks():
    pool = make_pool({"a": [FAST, SLOW, WRONG, SLOW], "b": [LUCKY, SLOW, WRONG, WRONG]})
    found = scaling(pool, build_selectors(["oracle"]), rng())
    assert [point.k for point in found.fast_1.verified] == [1, 2, 4]
    assert figures(found.fast_1.verified) == pytest.approx([1 / 8, 1 / 4, 1 / 2])
    assert figures(found.fast_1.raw) == pytest.approx([1 / 4, 1 / 2, 1])
    assert figures(found.selectors["oracle"].verified) == pytest.approx([1 / 8, 1 / 4, 1 / 2])
    assert "50%" in found.in_words and "raw rule says 100%" in found.in_words


def test_the_fastest_of_k_is_a_geometric_mean_with_the_reference_where_nothing_is_faster():
    pool = make_pool({"a": [FAST, SLOW], "b": [LUCKY, WRONG]})
    found = scaling(pool, (), rng()).speedup
    assert figures(found.verified) == pytest.approx([2 ** (1 / 4), 2 ** (1 / 2)])
    assert figures(found.raw) == pytest.approx([(2 * 1.2) ** (1 / 4), (2 * 1.2) ** (1 / 2)])


def test_intervals_are_exact_where_no_task_is_solved_and_absent_for_one_task():
    none = scaling(make_pool({"a": [SLOW, WRONG], "b": [SLOW, WRONG]}), (), rng()).fast_1.verified
    assert none[0].interval == clopper_pearson(0, 2)
    alone = scaling(make_pool({"a": [FAST, WRONG]}), (), rng()).fast_1.verified
    assert [point.interval for point in alone] == [None, None]


def test_intervals_hold_their_figure():
    tasks = {str(p): [FAST if i < p else SLOW for i in range(8)] for p in range(9)}
    for point in scaling(make_pool(tasks), (), rng()).fast_1.verified:
        assert point.interval is not None and point.interval.low < point.value < point.interval.high


def test_evaluating_the_least_expected_first_finds_a_success_that_stands_there():
    samples = [SLOW] * 7 + [FAST._replace(logprob=-9.0)]
    found = evaluated_first(make_pool({"a": samples, "b": samples}), None, rng())
    assert found.tested_m == 1
    assert figures(found.orders["surprisal"].verified) == [1, 1, 1, 1]
    assert figures(found.orders["confidence"].verified) == [0, 0, 0, 1]
    assert figures(found.orders["random"].verified) == pytest.approx([1 / 8, 1 / 4, 1 / 2, 1])
    # Both tasks solved by an order that is right once in eight: chance 1/64, doubled for two sides.
    assert found.test is not None and found.test.p_value == pytest.approx(2 / 64)


def test_a_run_with_a_shortlist_knows_its_own_order_alone():
    found = evaluated_first(make_pool({"a": [FAST, SLOW]}), Shortlist(top=2, rank="confidence"), rng())
    assert set(found.orders) == {"confidence"} and found.test is None
    assert "set aside" in found.in_words


def test_another_run_stands_where_its_figure_is_on_the_first_curve():
    first = make_view({"a": [FAST, SLOW, SLOW, SLOW], "b": [FAST, SLOW, SLOW, SLOW]}, "first")
    second = make_view({"a": [FAST, SLOW], "b": [FAST, SLOW], "c": [FAST]}, "second")
    found = other_runs(first, [second], rng())
    one = next(row for row in found.rows if row.rule == "verified" and row.samples == 1)
    assert one.tasks == 2 and one.figure == pytest.approx(1 / 2)
    assert one.equivalent_k is not None and one.equivalent_k.k == pytest.approx(2)
    assert found.tests["second"].wins == 2


def test_a_rate_of_single_samples_averages_over_tasks_and_differs_from_the_success_of_tasks():
    first = make_view({"a": [FAST, SLOW, SLOW, SLOW], "b": [FAST, SLOW, SLOW, SLOW]}, "first")
    second = make_view({"a": [FAST, WRONG, WRONG, WRONG], "b": [LUCKY, WRONG]}, "second")
    rows = other_runs(first, [second], rng()).rows
    single, whole = ({row.rule: row for row in rows if row.samples == samples} for samples in (1, 2))
    assert single["raw"].figure == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert single["verified"].figure == pytest.approx(1 / 8)
    assert (whole["raw"].figure, whole["verified"].figure) == (1.0, 0.5)
    interval = single["verified"].interval
    assert interval is not None and interval.low <= 1 / 8 <= interval.high


def test_on_a_flat_curve_no_k_stands_out():
    first, second = make_view({"a": [SLOW, SLOW]}, "first"), make_view({"a": [FAST, SLOW]}, "second")
    rows = other_runs(first, [second], rng()).rows
    assert all(row.equivalent_k is None for row in rows if row.rule == "verified")


def test_planning_figures_are_those_of_the_exact_tests_where_these_decide():
    # 0 of n: the exact upper end is 1 - 0.025^(1/n), which falls below 10% at n = 36.
    assert tasks_for_rate(0.0) == 36
    assert tasks_for_gain(0.0) is None
    assert tasks_for_gain(1.0) == 6  # six discordant tasks are the fewest that can reach 0.05
    assert tasks_for_gain(0.5) == 14  # (1.960 sqrt(0.5) + 0.842 sqrt(0.25))^2 / 0.25 = 13.06
    assert tasks_for_two_shares(0.4, 0.4) is None
    assert tasks_for_two_shares(1.0, 0.0) == 4
    assert tasks_for_two_shares(0.5, 0.6) == pytest.approx(387, abs=2)  # Cohen's h of 0.2: the textbook's 392 or so


def test_a_verdict_without_a_point_estimate_above_one_counts_as_verified_only():
    pool = make_pool({"a": [S(0.99, Verdict.FASTER, ratio=1.1)]})
    found = scaling(pool, (), rng())
    assert figures(found.fast_1.verified) == [1] and figures(found.fast_1.raw) == [0]
    assert figures(found.speedup.verified) == pytest.approx([1.1]) and figures(found.speedup.raw) == [1]
