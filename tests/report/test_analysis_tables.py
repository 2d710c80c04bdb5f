import numpy as np
import pytest
from analysis_views import FAST, LUCKY, SLOW, WRONG, S, make_pool, make_view

from assay.core.ledger import Spend
from assay.core.records import Verdict
from assay.report.analysis import analyse
from assay.report.analysis_regime import regime_table
from assay.report.analysis_rounds import rounds_table
from assay.report.analysis_runs import compute_table
from assay.report.analysis_selectors import selector_table
from assay.report.analysis_surprisal import length_control, quartile_table, spread_table
from assay.report.analysis_words import inside, listed, share
from assay.selection.diagnostics import surprisal_diagnostics
from assay.selection.selectors import build_selectors

NAMES = ("oracle", "random-correct", "confidence", "surprisal", "shortest")


def rng():
    return np.random.default_rng(0)


def won_by_surprisal(tasks=8):
    """Each task: of two correct samples the less expected one is fast."""
    samples = [SLOW._replace(logprob=-0.5, tokens=2), FAST._replace(logprob=-2.0, tokens=2)]
    return {str(p): samples for p in range(tasks)}


def test_a_selector_that_is_always_right_where_chance_is_a_half_is_told_from_chance():
    table = selector_table(make_pool(won_by_surprisal()), build_selectors(NAMES), rng())
    rows = {row.selector: row for row in table.rows}
    best = rows["surprisal"]
    assert best.against_random is not None and best.against_random.expected == pytest.approx(4)
    assert best.against_random.p_value == pytest.approx(2 / 2**8)
    assert best.adjusted_p == pytest.approx(3 * 2 / 2**8)  # the family is confidence, surprisal, shortest
    assert best.cohens_h == pytest.approx(np.pi / 2)
    assert best.equivalent_k is not None and best.equivalent_k.k == pytest.approx(2)
    assert rows["oracle"].against_random is None and rows["random-correct"].adjusted_p is None
    assert "surprisal (better" in table.in_words and "confidence (worse" in table.in_words


def test_pairs_hold_the_three_tests():
    table = selector_table(make_pool(won_by_surprisal()), build_selectors(NAMES), rng())
    pair = next(pair for pair in table.pairs if pair.b == "confidence")
    assert (pair.success.wins, pair.success.losses) == (8, 0)
    assert pair.mcnemar is not None and pair.mcnemar.p_value == pair.success.p_value == pytest.approx(2 / 2**8)
    assert pair.success_adjusted_p == pytest.approx(2 * 2 / 2**8)
    assert pair.speed_ratio == pytest.approx(2 / 0.9) and pair.speed.n == 8
    tied = next(pair for pair in table.pairs if pair.b == "shortest")
    assert tied.mcnemar is None  # equal lengths: the shortest is a random one of two, so no outcome is certain


def test_nothing_is_claimed_where_no_task_can_decide():
    table = selector_table(make_pool({"a": [SLOW, SLOW], "b": [FAST, FAST]}), build_selectors(NAMES), rng())
    assert all(row.adjusted_p is None for row in table.rows)
    assert "cannot tell them apart" in table.in_words


def test_an_observed_difference_that_is_not_supported_comes_with_the_tasks_it_would_take():
    table = selector_table(make_pool(won_by_surprisal(3)), build_selectors(NAMES), rng())
    assert "none of 3 selectors" in table.in_words and "tasks like these would be needed" in table.in_words


def test_without_surprisal_or_a_random_pick_there_are_no_tests():
    table = selector_table(make_pool(won_by_surprisal()), build_selectors(["shortest"]), rng())
    assert table.pairs == () and table.rows[0].against_random is None


def test_length_that_orders_surprisal_completely_leaves_no_partial_correlation():
    samples = [S(1.0 + n / 10, Verdict.SAME, logprob=-1.0 - n, tokens=n + 1) for n in range(6)]
    pool = make_pool({"a": samples})
    found = length_control(pool, surprisal_diagnostics(pool))
    assert found.speedup is not None and found.speedup.rho == pytest.approx(1)
    assert found.length is not None and found.length.rho == pytest.approx(1)
    assert found.speedup_given_length is None
    assert found.within_task == pytest.approx(1) and found.within_test.n == 1


def test_quartiles_hold_shares_of_correct_samples_and_are_tested_task_by_task():
    samples = [SLOW._replace(logprob=-1.0 - n / 10) for n in range(6)] + [FAST._replace(logprob=-5.0)] * 2
    pool = make_pool({"a": [*samples, WRONG], "b": samples})
    table = quartile_table(pool, surprisal_diagnostics(pool))
    assert [row.n for row in table.rows] == [4, 4, 4, 4]
    assert [row.fast_1_verified for row in table.rows] == [0, 0, 0, 1]
    assert table.rows[3].geomean_speedup == pytest.approx(2)
    assert (table.test.wins, table.test.losses) == (2, 0)


def test_tasks_of_little_spread_are_named():
    pool = make_pool({"flat": [SLOW, SLOW], "wide": [SLOW, SLOW._replace(logprob=-2.0)], "one": [SLOW, WRONG]})
    table = spread_table(pool, surprisal_diagnostics(pool))
    assert [row.is_arbitrary for row in table.rows] == [True, False, False]
    assert table.rows[2].std is None and table.rows[0].std == 0
    assert "fake/flat" in table.in_words and "1 task has fewer than two correct samples" in table.in_words


def test_rounds_show_what_changed_and_the_choice_of_one_with_its_split_estimate():
    rounds = [(0, [FAST, SLOW, SLOW, SLOW]), (1, [FAST, FAST, FAST, SLOW]), (2, [FAST, FAST, SLOW, SLOW])]
    samples = [one._replace(round=number, program=f"{number}") for number, several in rounds for one in several]
    table = rounds_table("run", make_pool({"a": samples, "b": samples}), rng())
    assert table is not None
    assert [row.fast_1_verified for row in table.rows] == [0.25, 0.75, 0.5]
    assert [row.distinct for row in table.rows] == [0.25, 0.25, 0.25]
    boa = table.choices["verified"][0]
    assert boa.step == 1 and boa.in_batch == 0.75 and boa.split is not None and boa.split < 0.75
    assert (table.test.wins, table.test.losses) == (2, 0)
    assert "keeps round 1 of 3 rounds" in table.in_words


def test_a_rounds_rates_average_over_tasks_and_differ_from_the_success_of_tasks():
    a, b = [FAST, WRONG, WRONG, WRONG], [LUCKY, WRONG]
    tasks = {key: [one._replace(round=step) for step in (0, 1) for one in each] for key, each in (("a", a), ("b", b))}
    table = rounds_table("run", make_pool(tasks), rng())
    assert table is not None and table.tasks == 2
    for row in table.rows:
        assert row.samples == 6 and row.correct == row.fast_1_raw == pytest.approx((1 / 4 + 1 / 2) / 2)
        assert (row.fast_1_verified, row.solved_verified) == (pytest.approx(1 / 8), 0.5)


def test_turns_of_a_refinement_are_not_called_an_adaptation():
    samples = [SLOW, SLOW, FAST._replace(round=1), SLOW._replace(round=1)]
    view = make_view({"a": samples, "b": samples}, strategy="refine")
    (table,) = analyse([view]).rounds
    assert "adaptation" not in table.in_words and "best by its own samples is turn 1 of 2 turns" in table.in_words
    assert table.choices["verified"][0].rule == "best-turn"
    (learned,) = analyse([make_view({"a": samples, "b": samples}, strategy="ttt")]).rounds
    assert learned.choices["verified"][0].rule == "boa" and "Mean surprisal goes from 1.00 to 1.00" in learned.in_words


def test_every_sentence_says_what_could_be_planned_for():
    def task(p):
        return [[FAST, SLOW, LUCKY, WRONG][(p + i) % 4]._replace(logprob=-1 - (i + p) % 3) for i in range(8)]

    found = analyse([make_view({str(p): task(p) for p in range(6)}, "a"), make_view({"1": [SLOW] * 4}, "b")])
    assert found.scaling is not None and found.others is not None
    tables = [found.scaling, found.evaluated_first, found.others, found.selectors, found.length, found.quartiles]
    for words in (found.scaling.selectors_in_words, *(one.in_words for one in (*tables, found.spread, found.compute))):
        assert "tasks" in words and any(hint in words for hint in ("about", "About", "fewest", "so there is no"))


def test_without_verdicts_the_analysis_says_so_and_reads_raw_figures():
    unjudged = FAST._replace(verdict=None)
    found = analyse([make_view({"a": [unjudged], "b": [WRONG]}, rule="kernelbench-fast")])
    assert "gives no verdict" in found.warnings[0]
    assert found.scaling is not None and "verdict `faster`" not in found.scaling.in_words
    assert found.scaling.in_words.startswith("With 1 sample a task, 50%")
    assert "Without verdicts no task counts as solved" in found.compute.in_words


def test_one_round_is_no_trajectory():
    assert rounds_table("run", make_pool({"a": [FAST]}), rng()) is None


def test_rounds_of_different_tasks_are_no_trajectory_and_the_analysis_says_so():
    view = make_view({"a": [FAST], "b": [SLOW._replace(round=1)], "c": [SLOW, FAST._replace(round=1)]})
    assert rounds_table("run", view.pool, rng()) is None
    other = make_view({"a": [FAST], "c": [SLOW]}, "first")
    found = analyse([view])
    assert found.rounds == () and "no trajectory" in found.warnings[0]
    assert analyse([other, view]).others is not None


def test_coverage_and_benefit_come_from_different_samples():
    # Even samples 0, 2 give the coverage, odd ones 1, 3 the base.
    first = make_view({"a": [FAST, SLOW, FAST, SLOW], "b": [SLOW, FAST, SLOW, FAST], "c": [SLOW]}, "first")
    second = make_view({"a": [FAST, SLOW], "b": [FAST, SLOW], "c": [FAST]}, "second")
    table = regime_table(first, second, "verified", rng())
    by_task = {task.task: task for task in table.tasks}
    assert (by_task["fake/a"].coverage, by_task["fake/a"].benefit) == (1.0, 0.5)
    assert (by_task["fake/b"].coverage, by_task["fake/b"].benefit) == (0.0, -0.5)
    assert [row.tasks for row in table.rows] == [1, 0, 0, 1] and table.left_out == 1
    assert table.rows[1].benefit is None and table.rows[0].interval is None


def test_the_regime_of_equal_runs_claims_nothing():
    view = make_view({str(p): [FAST if (p + i) % 3 else SLOW for i in range(8)] for p in range(9)})
    words = regime_table(view, view, "verified", rng()).in_words
    assert "do not support" in words or "no outcome could have been significant" in words


def test_costs_are_read_from_the_ledger():
    table = compute_table([make_view({"a": [FAST, SLOW], "b": [SLOW]})])
    (cost,) = table.runs
    assert cost.tokens == 200 and cost.teacher_share == pytest.approx(0.2)
    assert cost.solved == 1 and cost.tokens_a_solved_task == 200
    (nothing,) = compute_table([make_view({"a": [SLOW]}, spent=Spend())]).runs
    assert nothing.teacher_share is None and nothing.tokens_a_solved_task is None


def test_published_figures_stand_beside_ours_with_the_caveat():
    view = make_view({"a": [FAST] * 32 + [SLOW] * 32, "b": [LUCKY] * 64})
    table = analyse([view], published=True).published
    assert table is not None and not table.is_same_tasks
    rows = {row.figure: row for row in table.rows}
    at_one = rows["tasks solved by best of 1"]
    assert at_one.published == 0.533
    assert at_one.ours_raw == pytest.approx(3 / 4) and at_one.ours_verified == pytest.approx(1 / 4)
    assert rows["confidence: mean speedup"].published == 11.6
    assert "203x" in table.caveat and "other ones" in table.in_words


def test_published_steps_appear_for_a_run_with_rounds():
    view = make_view({"a": [SLOW._replace(round=0), FAST._replace(round=1)]})
    table = analyse([view], published=True).published
    assert table is not None
    rows = {row.figure: row for row in table.rows}
    assert rows["samples fast after 1 update"].ours_verified == 1
    assert rows["samples fast after 2 updates"].ours_verified is None


@pytest.mark.parametrize(("strategy", "has_steps"), [("ttt", True), ("refine", False), ("rlvr", False)])
def test_published_steps_stand_beside_rounds_of_weights_that_change_on_the_same_tasks(strategy, has_steps):
    view = make_view({"a": [SLOW, FAST._replace(round=1)]}, strategy=strategy)
    table = analyse([view], published=True).published
    assert table is not None and any("updates" in row.figure for row in table.rows) is has_steps


def test_published_self_distillation_stands_beside_the_last_round_of_ours():
    view = make_view({"a": [SLOW, FAST._replace(round=1)]}, strategy="sdpo")
    table = analyse([view], published=True).published
    assert table is not None
    rows = [row for row in table.rows if "self-distillation" in row.figure and row.unit == "share"][:2]
    assert [round(row.published, 3) for row in rows] == [0.305, 0.263] and rows[0].ours_verified == 1.0


def test_pieces_of_sentences():
    assert (share(0.0), share(0.002), share(0.4), share(0.999), share(1.0)) == ("0%", "0.2%", "40%", "99.9%", "100%")
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
    assert inside("Of 3 tasks") == "of 3 tasks" and inside("Surprisal") == "Surprisal"
