"""PUCT over earlier programs, on cases worked out by hand."""

from math import log, sqrt

import pytest
from fakes import judge, make_task
from hypothesis import given
from hypothesis import strategies as st

from assay.core.records import Candidate
from assay.strategies.state_buffer import ROOT, Child, State, StateBuffer

TASK = make_task("1")


def child(what: str) -> Child:
    candidate = Candidate(source=f"class ModelNew(Model): pass  # {what}")
    return Child(source=candidate.source, evaluation=judge(TASK, candidate, shrink=1.0))


def by_hand() -> StateBuffer:
    """Root (expanded 3 times in its line), a (once), and b, a's child, never. Scale 0.4, N = 4."""
    return StateBuffer(
        states=(
            State(id=ROOT, expansions=3, best_child=0.5),
            State(id="a", parent=ROOT, value=0.5, expansions=1, best_child=0.2),
            State(id="b", parent="a", value=0.1),
        ),
        expansions=4,
    )


def test_scores_are_those_worked_out_by_hand():
    scores = by_hand().scores(c=1.0)
    assert scores[ROOT] == pytest.approx(0.5 + 0.4 * (1 / 6) * sqrt(5) / 4)  # 0.5373
    assert scores["a"] == pytest.approx(0.2 + 0.4 * (3 / 6) * sqrt(5) / 2)  # 0.4236
    assert scores["b"] == pytest.approx(0.1 + 0.4 * (2 / 6) * sqrt(5) / 1)  # 0.3981


def test_without_exploration_only_the_best_child_counts():
    assert by_hand().scores(c=0.0) == {ROOT: 0.5, "a": 0.2, "b": 0.1}


def test_a_state_is_not_picked_beside_its_descendant_and_picks_begin_again():
    assert [one.id for one in by_hand().picks(3, c=1.0)] == [ROOT, "a", ROOT]


def test_more_exploration_prefers_what_was_never_expanded():
    assert by_hand().picks(1, c=10.0)[0].id == "b"  # 0.1 + 2.98 against 0.2 + 2.24


def test_a_fresh_buffer_expands_the_root_for_every_group():
    assert [one.id for one in StateBuffer().picks(3, c=1.0)] == [ROOT] * 3
    assert StateBuffer().scores(c=1.0) == {ROOT: pytest.approx(1.0)}  # 0 + 1 * 1 * 1 * sqrt(1) / 1


def test_an_expansion_keeps_the_best_correct_children_once_and_counts_along_the_line():
    children = [child(f"ratio={ratio}") for ratio in ("1.3", "1.6", "1.6", "1.1")] + [child("status=wrong_output")]
    first = StateBuffer().expanded(ROOT, children, round=0, keep=2, capacity=10)
    root, best, second = first.states
    assert (root.expansions, root.best_child) == (1, pytest.approx(log(1.6 * 0.98)))
    assert (best.value, second.value) == (pytest.approx(log(1.6 * 0.98)), pytest.approx(log(1.3 * 0.98)))
    assert {best.parent, second.parent} == {ROOT} and best.round == 0 and first.expansions == 1
    then = first.expanded(best.id, [child("ratio=1.2")], round=1, keep=2, capacity=10)
    assert [one.expansions for one in then.states] == [2, 1, 0, 0] and then.expansions == 2
    assert then.states[0].best_child == pytest.approx(log(1.6 * 0.98))  # of direct children only
    assert then.states[1].best_child == pytest.approx(log(1.2 * 0.98)) and then.states[3].parent == best.id


def test_an_expansion_without_a_correct_program_is_counted_and_adds_nothing():
    after = StateBuffer().expanded(ROOT, [child("status=wrong_output")], round=0, keep=2, capacity=10)
    assert [(one.id, one.expansions, one.best_child) for one in after.states] == [(ROOT, 1, None)]


def test_a_copy_of_a_known_state_enters_once():
    first = StateBuffer().expanded(ROOT, [child("ratio=1.3")], round=0, keep=2, capacity=10)
    again = first.expanded(first.states[1].id, [child("ratio=1.3")], round=1, keep=2, capacity=10)
    assert len(again.states) == 2 and again.states[1].best_child == pytest.approx(log(1.3 * 0.98))


def test_beyond_the_capacity_the_least_valuable_go_and_the_root_stays():
    children = [child(f"ratio={ratio}") for ratio in ("0.8", "1.3", "1.6")]
    after = StateBuffer().expanded(ROOT, children, round=0, keep=3, capacity=3)
    assert [one.id == ROOT for one in after.states] == [True, False, False]
    assert min(one.value for one in after.states[1:]) == pytest.approx(log(1.3 * 0.98))


@given(
    st.lists(st.lists(st.floats(0.5, 4.0).map(lambda r: round(r, 2)), max_size=4), max_size=8),
    st.integers(1, 5),
    st.floats(0, 3),
)
def test_picks_are_as_many_as_asked_for_unrelated_and_the_same_each_time(rounds, count, c):
    buffer = StateBuffer()
    for index, ratios in enumerate(rounds):
        state = buffer.picks(1, c)[0].id
        buffer = buffer.expanded(state, [child(f"ratio={r}") for r in ratios], index, keep=2, capacity=6)
        assert len(buffer.states) <= 6 and next(iter(buffer.states)).id == ROOT
    picked = buffer.picks(count, c)
    assert len(picked) == count and picked == buffer.picks(count, c)
    assert buffer.expansions == len(rounds) == next(iter(buffer.states)).expansions
    assert StateBuffer.model_validate_json(buffer.model_dump_json()) == buffer
    distinct = {one.id: one for one in picked}
    assert not any(a.parent == b.id for a in distinct.values() for b in distinct.values() if b.id != ROOT)
