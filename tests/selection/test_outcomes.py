"""The table over tasks and selectors, worked out by hand, and its JSON form."""

import json

import numpy as np
import pytest
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.selection.outcomes import selection_report, success_interval
from assay.selection.pool import Pool
from assay.selection.selectors import build_selectors

FASTER, SAME = Verdict.FASTER, Verdict.SAME
# Task 1: the surprising sample is fast. Task 2: fast by the point estimate only. Task 3: nothing correct.
POOL = Pool.from_attempts(
    [
        attempt("1", 0, [-0.2], ratio=0.5, verdict=Verdict.SLOWER, source="a"),
        attempt("1", 1, [-2.0], ratio=8.0, verdict=FASTER, source="b"),
        attempt("1", 2, [-2.5], source="c"),
        attempt("2", 0, [-1.00], ratio=1.0, raw=1.1, verdict=SAME, source="a"),
        attempt("2", 1, [-1.01], ratio=1.0, raw=0.9, verdict=SAME, source="a"),
        attempt("3", 0, [-1.0], source="d"),
    ]
)


def _report(*names):
    return selection_report(POOL, np.random.default_rng(0), build_selectors(names) if names else None)


def test_outcomes_by_hand():
    found = _report().selectors
    oracle, confidence, random = found["oracle"], found["confidence"], found["random-correct"]
    # Task 2's two samples have one speedup, and the earlier is kept.
    assert (oracle.fast_1_raw, oracle.fast_1_verified) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert oracle.geomean_speedup == pytest.approx(8**0.5) and oracle.mean_speedup == pytest.approx(4.5)
    assert (oracle.timing_runs, oracle.tasks, oracle.tasks_with_pick, oracle.tasks_with_speedup) == (4, 3, 2, 2)
    assert (confidence.fast_1_raw, confidence.fast_1_verified) == (pytest.approx(1 / 3), 0.0)
    assert confidence.timing_runs == 0
    # Half of each task's correct samples: 1/2 and 1/2 raw, 1/2 and 0 verified; sqrt(0.5 * 8) = 2 and 1.
    assert (random.fast_1_raw, random.fast_1_verified) == (pytest.approx(1 / 3), pytest.approx(1 / 6))
    assert random.geomean_speedup == pytest.approx(2**0.5)
    assert random.mean_speedup == pytest.approx((4.25 + 1) / 2)


def test_selectors_without_their_column_are_left_out_unless_asked_for():
    assert "self-certainty" not in _report().selectors and "deepconf-bottom" in _report().selectors
    with pytest.raises(UsageError, match="'self-certainty' needs self_certainty"):
        _report("self-certainty")


def test_rows_say_what_each_task_and_selector_gave():
    rows = {row.task: row for row in _report("surprisal", "random-correct").tasks}
    first, second, third = rows["1"], rows["2"], rows["3"]
    assert (first.samples, first.correct, first.distinct_correct) == (3, 2, 2)
    assert (first.best_speedup, first.best_low, first.verdict) == (8.0, pytest.approx(7.2), FASTER)
    assert first.picks["surprisal"] is not None and first.picks["surprisal"].index == 1
    assert second.distinct_correct == 1
    assert second.picks["random-correct"] is not None and second.picks["random-correct"].probability == 0.5
    assert (third.correct, third.best_speedup, third.verdict) == (0, None, None)
    assert third.picks == {"surprisal": None, "random-correct": None}


def test_warnings_name_tasks_of_little_variation_and_tasks_without_a_correct_sample():
    flat, without = _report("oracle").warnings
    assert "On 1 of 3 tasks" in flat and "arbitrary there: 2." in flat
    assert without == "1 of 3 tasks have no correct sample: 3."


def test_the_json_document_has_the_agreed_keys_and_no_nan():
    document = json.loads(_report().model_dump_json())
    assert {"tasks", "selectors"} <= document.keys()
    agreed = {"fast_1_raw", "fast_1_verified", "geomean_speedup", "timing_runs", "interval"}
    assert all(agreed <= outcome.keys() for outcome in document["selectors"].values())
    json.dumps(document, allow_nan=False)


def test_an_interval_is_a_bootstrap_or_exact_where_nothing_varies():
    rng = np.random.default_rng(0)
    mixed, none = success_interval(np.array([1.0, 0, 0, 1]), rng), success_interval(np.zeros(4), rng)
    assert mixed is not None and mixed.method == "percentile bootstrap over tasks"
    assert none is not None and none.method == "clopper-pearson"
    assert none.high == pytest.approx(1 - 0.025**0.25)
    assert success_interval(np.array([1.0]), rng) is None
    assert success_interval(np.array([0.5, 0.5]), rng) is None


def test_the_same_seed_gives_the_same_report():
    assert _report() == _report()


def test_an_interval_does_not_depend_on_the_other_selectors():
    assert _report("surprisal").selectors["surprisal"] == _report("oracle", "surprisal").selectors["surprisal"]


def test_an_empty_pool_is_a_users_mistake():
    with pytest.raises(UsageError, match="nothing to select from"):
        selection_report(Pool.from_attempts([]), np.random.default_rng(0))
