import dataclasses
import json

import numpy as np
import pytest
from stored_runs import BEST_OF_N, FAST, NONE, SAME, TTT, WRONG, store_run

from assay.core.errors import UsageError
from assay.report.compare import compare_directories
from assay.report.compare_cut import Budget, parse_budget
from assay.report.compare_runs import Arm, check, read_compared
from assay.report.compare_tests import difference_interval
from assay.runs.store import RunStore
from assay.stats.paired import McNemar, SignTest

LOSES, WINS = [[SAME, SAME, WRONG, NONE]], [[FAST, SAME, WRONG, NONE]]


@pytest.fixture
def pair(tmp_path):
    """Eight tasks: the second run wins on seven, of which the first wins on one."""
    a = {str(n): WINS if n == 0 else LOSES for n in range(8)}
    b = {str(n): LOSES if n == 7 else WINS for n in range(8)}
    return store_run(tmp_path / "a", a), store_run(tmp_path / "b", b, shrink=0.9)


def test_outcomes_are_paired_by_task_and_tested_exactly(pair):
    found = compare_directories(pair)
    (contrast,) = found.contrasts
    success = contrast.success["verified"]
    assert isinstance(success.test, McNemar)
    assert (success.test.only_a, success.test.only_b, success.test.both, success.test.neither) == (6, 0, 1, 1)
    assert success.test.p_value == pytest.approx(2 * 0.5**6)
    assert success.difference == pytest.approx(6 / 8)
    assert success.cohens_h == pytest.approx(2 * np.arcsin(np.sqrt(7 / 8)) - 2 * np.arcsin(np.sqrt(1 / 8)))
    assert success.interval is not None and success.interval.low < 0.75 < success.interval.high


def test_holm_covers_the_family_of_a_rule(pair):
    (contrast,) = compare_directories(pair).contrasts
    tests = (contrast.success["verified"], contrast.rate["verified"], contrast.speed)
    known = [(test.test.p_value, test.adjusted_p) for test in tests if test.test.p_value and test.adjusted_p]
    assert len(known) == 3 and min(known)[1] == pytest.approx(3 * min(known)[0])
    assert all(share["raw"].adjusted_p is None for share in (contrast.success, contrast.rate))  # no task differs


def test_holm_covers_all_sides_against_the_first(pair, tmp_path):
    third = store_run(tmp_path / "c", {str(n): LOSES for n in range(8)})
    found = compare_directories([*pair, third]).contrasts
    tests = [test for one in found for test in (one.success["verified"], one.rate["verified"], one.speed)]
    known = [(test.test.p_value, test.adjusted_p) for test in tests if test.test.p_value and test.adjusted_p]
    smallest = min(known)
    assert len(known) == 6 and smallest[1] == pytest.approx(6 * smallest[0])
    assert all(adjusted >= p for p, adjusted in known)


def test_both_metrics_stand_beside_each_other_for_both_sides(pair):
    first, second = compare_directories(pair).sides
    assert first.success["verified"].value == pytest.approx(1 / 8)
    assert first.rate["verified"].value == pytest.approx(1 / 32)
    assert second.success["verified"].value == pytest.approx(7 / 8)
    assert second.rate["verified"].value == pytest.approx(7 / 32)
    # The raw rule believes the identical programs too, whose point estimate is 2% too high here.
    assert first.success["raw"].value == 1.0 and first.rate["raw"].value == pytest.approx(0.5)


def test_speed_is_that_of_winners_measured_afresh_and_one_without_a_winner(pair):
    found = compare_directories(pair)
    (contrast,) = found.contrasts
    assert contrast.speed.tasks == 8 and contrast.speed.left_out == 0
    assert contrast.speed.log_ratios[0] == pytest.approx(np.log(1.45 / 1.5))
    assert contrast.speed.log_ratios[1] == pytest.approx(np.log(1.45))
    assert contrast.speed.log_ratios[7] == 0
    assert found.sides[0].wins is not None and found.sides[0].wins.value == pytest.approx(1.5)
    assert found.sides[1].speedup is not None and found.sides[1].speedup.value == pytest.approx(1.45 ** (7 / 8))
    assert found.sides[1].confirmed is not None and found.sides[1].confirmed.value == pytest.approx(7 / 8)


def test_a_winner_that_does_not_hold_up_leaves_the_reference(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": WINS}, shrink=0.01)
    second = compare_directories([a, b]).sides[1]
    assert second.success["verified"].value == 1.0
    assert second.confirmed is not None and second.confirmed.value == 0.0
    assert second.speedup is not None and second.speedup.value == 1.0 and second.wins is None


def test_a_pick_that_was_not_measured_again_is_left_out_of_speed_and_said_so(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": LOSES}, again=False)
    found = compare_directories([a, b])
    assert found.contrasts[0].speed.left_out == 1 and found.contrasts[0].speed.tasks == 1
    assert "1 task out" in found.in_words[0]
    assert found.tasks[0].sides[1].winners[0].leaves is None


def test_words_claim_what_is_supported_and_say_how_many_tasks_the_rest_would_take(pair, tmp_path):
    found = compare_directories(pair)
    assert "b alone succeeds on 6 and a alone on 0" in found.in_words[0]
    assert "do not support" in found.in_words[0] and "tasks would be needed" in found.in_words[0]
    c = store_run(tmp_path / "c", {str(n): WINS for n in range(10)})
    d = store_run(tmp_path / "d", {str(n): LOSES for n in range(10)})
    assert "support a difference in favour of c over d" in compare_directories([d, c]).in_words[0]
    e = store_run(tmp_path / "e", {str(n): LOSES for n in range(10)})
    same = compare_directories([d, e])
    assert "once 6 tasks differ" in same.in_words[0] and "there are 10 tasks" in same.in_words[0]
    assert same.contrasts[0].success["verified"].tasks_needed is None


def test_the_comparison_is_a_function_of_what_is_stored(pair):
    one, other = compare_directories(pair), compare_directories(pair)
    assert one == other
    json.dumps(one.model_dump(mode="json"), allow_nan=False)


# -- budgets ----------------------------------------------------------------------------------------------------


def test_different_budgets_are_refused_with_the_spend_that_would_match(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": [[FAST, SAME]], "2": [[SAME, SAME]]})
    with pytest.raises(UsageError, match=r"a: 8; b: 4.*--at rollouts=4.*--anyway"):
        compare_directories([a, b])
    found = compare_directories([a, b], is_anyway=True)
    assert not found.is_matched
    assert found.in_words[0].startswith("The budgets differ")
    assert any("completion tokens (24 / 12)" in warning for warning in found.warnings)


def test_a_cut_draw_is_averaged_over_its_subsets_and_tested_on_its_first_samples(tmp_path):
    a = store_run(tmp_path / "a", {"1": [[SAME, SAME, SAME, FAST]], "2": LOSES})
    b = store_run(tmp_path / "b", {"1": [[FAST, SAME]], "2": [[SAME, SAME]]})
    found = compare_directories([a, b], at=Budget(resource="rollouts", amount=4))
    first, second = found.sides
    assert first.is_averaged and first.samples == second.samples == 2
    assert first.success["verified"].value == pytest.approx(
        0.5 / 2
    )  # 2 of 4 samples hold the one success half the time
    assert first.rate["verified"].value == pytest.approx(0.25 / 2)
    test = found.contrasts[0].success["verified"].test
    assert isinstance(test, McNemar) and (test.only_a, test.only_b) == (1, 0)
    amounts = {line.resource: line.amounts for line in found.budgets}
    assert amounts["rollouts"] == (4, 4) and amounts["completion_tokens"] == (12, 12)


def test_rounds_are_cut_whole_and_single_rounds_to_what_they_reach(tmp_path):
    rounds = [[SAME, SAME], [FAST, SAME], [FAST, FAST]]
    a = store_run(tmp_path / "a", {"1": [[SAME] * 6], "2": [[SAME] * 6]})
    b = store_run(tmp_path / "b", {"1": rounds, "2": rounds}, TTT)
    found = compare_directories([a, b], at=parse_budget("rollouts=11"))
    first, second = found.sides
    assert second.rounds == (0, 1) and second.samples == 4 and not second.is_averaged
    assert first.samples == 4 and found.is_matched
    assert second.adapted is not None and second.adapted["verified"].last_round.value == 0.5
    assert {line.resource: line.amounts for line in found.budgets}["updates"][1] == 2
    assert any("b is cut to its first 2 rounds" in warning for warning in found.warnings)


def test_tokens_are_a_budget_too(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES}, tokens=5)  # 10 tokens a sample with its prompt
    b = store_run(tmp_path / "b", {"1": WINS, "2": LOSES}, tokens=15)  # 20
    found = compare_directories([a, b], at=Budget(resource="tokens", amount=80))
    assert [side.samples for side in found.sides] == [4, 2]
    assert found.is_matched and found.contrasts[0].samples == 2


@pytest.mark.parametrize("text", ["160", "rollouts", "rollouts=0", "rollouts=-5", "seconds=3", "tokens=many", ""])
def test_a_budget_that_cannot_be_meant_is_refused(text):
    with pytest.raises(UsageError, match="rollouts=N or tokens=N"):
        parse_budget(text)


def test_a_budget_below_one_sample_or_one_round_names_the_least(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": WINS}, {**BEST_OF_N, "model": "other"})
    with pytest.raises(UsageError, match="at least 2"):
        compare_directories([a, b], at=Budget(resource="rollouts", amount=1))
    c = store_run(tmp_path / "c", {"1": [[SAME, SAME]] * 2, "2": [[SAME, SAME]] * 2}, TTT)
    with pytest.raises(UsageError, match=r"first round of .*at least 4"):
        compare_directories([a, c], at=Budget(resource="rollouts", amount=3))


def test_only_shared_tasks_are_compared_and_charged(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"2": WINS, "1": LOSES, "3": WINS})
    found = compare_directories([a, b])
    assert [task.task for task in found.tasks] == ["fake/1", "fake/2"] and found.tasks_left_out == 1
    assert {line.resource: line.amounts for line in found.budgets}["rollouts"] == (8, 8)


# -- what may be compared ---------------------------------------------------------------------------------------


def test_other_suites_and_unshared_tasks_are_refused_whatever_is_asked(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS})
    b = store_run(tmp_path / "b", {"1": WINS}, suite="other")
    c = store_run(tmp_path / "c", {"2": WINS})
    with pytest.raises(UsageError, match="suites and scales never mix"):
        compare_directories([a, b], is_anyway=True)
    with pytest.raises(UsageError, match="share no task"):
        compare_directories([a, c], is_anyway=True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"evaluator": {"rule": "kernelbench-fast"}}, "rules of evaluation differ (a: assay; b: kernelbench-fast)"),
    ],
)
def test_other_rules_are_refused_by_name_or_warned_of(tmp_path, change, what):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": LOSES}, {**BEST_OF_N, **change})
    with pytest.raises(UsageError, match="--anyway") as refusal:
        compare_directories([a, b])
    assert what in str(refusal.value)
    assert any(what in warning for warning in compare_directories([a, b], is_anyway=True).warnings)


def on_device(directory, device):
    """The run, as if its programs had been timed on `device`."""
    with RunStore.open(directory) as store:
        (run,) = read_compared([store])
    looks = {
        key: look.model_copy(update={"provenance": look.provenance.model_copy(update={"device": device})})
        for key, look in run.looks.items()
    }
    return dataclasses.replace(run, label=directory.name, looks=looks)


def test_two_devices_of_one_name_are_alike_and_two_names_are_not(tmp_path):
    a, b = (store_run(tmp_path / name, {"1": WINS, "2": LOSES}) for name in "ab")
    first, second = on_device(a, "cuda:0 (NVIDIA H100 (80 GB))"), on_device(b, "cuda:1 (NVIDIA H100 (80 GB))")
    assert not any("devices differ" in one for one in check([Arm("a", (first,)), Arm("b", (second,))], is_anyway=False))
    other = on_device(b, "cuda:0 (NVIDIA H200)")
    with pytest.raises(UsageError, match=r"devices differ \(a: NVIDIA H100 \(80 GB\); b: NVIDIA H200\)"):
        check([Arm("a", (first,)), Arm("b", (other,))], is_anyway=False)


def test_settings_of_the_evaluator_and_seeds_are_warned_of_by_name(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES}, {**BEST_OF_N, "evaluator": {"alpha": 0.01}})
    b = store_run(tmp_path / "b", {"1": WINS, "2": LOSES}, {**BEST_OF_N, "evaluator": {"alpha": 0.05}, "seed": 3})
    found = compare_directories([a, b])
    assert any("settings of the evaluator differ (a: alpha = 0.01; b: alpha = 0.05)" in w for w in found.warnings)
    assert any("seeds differ (a: 0; b: 3)" in warning for warning in found.warnings)
    assert [setting.key for setting in found.settings] == ["evaluator.alpha"]


def test_a_run_beside_itself_and_one_run_alone_are_refused(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS})
    with pytest.raises(UsageError, match="named twice"):
        compare_directories([a, a])
    with pytest.raises(UsageError, match="at least two runs"):
        compare_directories([a])
    with pytest.raises(UsageError, match="at least two runs"):
        compare_directories([])


# -- several seeds ----------------------------------------------------------------------------------------------


@pytest.fixture
def seeds(tmp_path):
    """Three seeds of two methods on four tasks."""

    def run(name, config, seed, wins):
        tasks = {str(n): WINS if n < wins else LOSES for n in range(4)}
        return store_run(tmp_path / f"{name}{seed}", tasks, {**config, "seed": seed})

    other = {**BEST_OF_N, "model": "better"}
    return [run("a", BEST_OF_N, s, wins) for s, wins in enumerate((0, 1, 2))] + [
        run("b", other, s, wins) for s, wins in enumerate((3, 4, 4))
    ]


def test_seeds_of_one_configuration_are_grouped_with_mean_and_std(seeds):
    found = compare_directories(seeds, is_grouped=True)
    first, second = found.sides
    assert first.name == "a0 (3 seeds)" and first.seeds == (0, 1, 2)
    assert first.success["verified"].value == pytest.approx(0.25)
    assert first.success["verified"].std == pytest.approx(np.std([0, 0.25, 0.5], ddof=1))
    assert second.success["verified"].value == pytest.approx(11 / 12)
    test = found.contrasts[0].success["verified"].test
    assert isinstance(test, SignTest) and (test.wins, test.losses, test.ties) == (4, 0, 0)
    assert found.contrasts[0].seeds == 3 and not any("seeds differ" in warning for warning in found.warnings)


def test_sides_with_unequal_numbers_of_seeds_are_tested_on_equally_many(seeds):
    found = compare_directories([*seeds[:3], seeds[3]], is_grouped=True)
    assert found.contrasts[0].seeds == 1
    assert any("different numbers of seeds" in warning for warning in found.warnings)


def test_without_grouping_every_run_is_a_side_and_the_hint_is_given(seeds):
    found = compare_directories(seeds[:2])
    assert len(found.sides) == 2 and any("--group" in warning for warning in found.warnings)
    assert len(compare_directories(seeds).contrasts) == 5


def test_one_seed_twice_is_no_second_draw(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS})
    b = store_run(tmp_path / "b", {"1": WINS})
    with pytest.raises(UsageError, match="the same draws"):
        compare_directories([a, b], is_grouped=True)


# -- intervals --------------------------------------------------------------------------------------------------


def test_equal_outcomes_everywhere_still_leave_uncertainty():
    found = difference_interval(np.zeros(20), np.random.default_rng(0))
    assert found is not None and found.low == pytest.approx(-found.high) and 0.15 < found.high < 0.18
    won = difference_interval(np.ones(20), np.random.default_rng(0))
    assert won is not None and won.high == 1.0 and won.low == pytest.approx(1 - found.high)
    lost = difference_interval(-np.ones(20), np.random.default_rng(0))
    assert lost is not None and (lost.low, lost.high) == (-won.high, -won.low)
    assert difference_interval(np.zeros(1), np.random.default_rng(0)) is None
    assert difference_interval(np.full(5, 0.5), np.random.default_rng(0)) is None
