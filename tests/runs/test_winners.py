import pytest
from fakes import judge, make_task

from assay.core.records import Candidate
from assay.runs.winners import pick_fastest

TASK = make_task()


def look(text):
    return judge(TASK, Candidate(source=f"# {text}"), 1.0)


def ratios(evaluations):
    return [pytest.approx(e.speedup.ratio) for e in evaluations]


def test_no_correct_program_gives_no_winner():
    assert pick_fastest([], 3) == []
    assert pick_fastest([look("status=wrong_output")], 3) == []


def test_without_a_faster_one_the_highest_point_estimate_is_picked():
    assert ratios(pick_fastest([look("ratio=1.0"), look("ratio=1.004"), look("ratio=0.5")], 3)) == [1.004]


def test_faster_ones_come_by_descending_lower_bound_and_no_more_than_asked_for():
    looks = [look("ratio=1.2"), look("ratio=1.5"), look("ratio=1.4"), look("ratio=1.3"), look("ratio=1.0")]
    assert ratios(pick_fastest(looks, 3)) == [1.5, 1.4, 1.3]
    assert ratios(pick_fastest(looks, 1)) == [1.5]


def test_a_higher_point_estimate_without_a_verdict_takes_the_last_place():
    unsure = look("ratio=2.0")
    assert unsure.speedup is not None
    wide = unsure.speedup.model_copy(update={"low": 0.9, "high": 3.0})
    unsure = unsure.model_copy(update={"verdict": "undecided", "speedup": wide})
    looks = [look("ratio=1.2"), unsure, look("ratio=1.5")]
    assert ratios(pick_fastest(looks, 2)) == [1.5, 2.0]
    assert ratios(pick_fastest(looks, 3)) == [1.5, 1.2, 2.0]
    assert ratios(pick_fastest(looks, 1)) == [1.5]
