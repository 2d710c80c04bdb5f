import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assay.selection.evaluation_order import order_scores, shortlisted
from assay.selection.shortlist import Shortlist

LOGPROBS = st.lists(st.one_of(st.floats(-5, 0), st.just(float("nan"))), max_size=12)


def test_surprisal_takes_the_least_expected_and_confidence_the_most_expected():
    logprobs = [-1.0, -3.0, float("nan"), -2.0]
    assert shortlisted(Shortlist(top=2), logprobs, 0, 0, "t").tolist() == [1, 3]
    assert shortlisted(Shortlist(top=2, rank="confidence"), logprobs, 0, 0, "t").tolist() == [0, 3]
    assert shortlisted(Shortlist(top=4), logprobs, 0, 0, "t").tolist()[-1] == 2


@given(LOGPROBS, st.integers(1, 15), st.sampled_from(["surprisal", "confidence", "random"]), st.integers(0, 5))
def test_a_shortlist_holds_distinct_places_none_better_left_out_and_depends_on_its_arguments_alone(
    logprobs, top, rank, seed
):
    chosen = Shortlist(top=top, rank=rank)
    rows = shortlisted(chosen, logprobs, seed, 1, "task")
    assert len(set(rows.tolist())) == len(rows) == min(top, len(logprobs))
    scores = order_scores(logprobs, rank)
    rest = np.delete(scores, rows)
    assert len(rest) == 0 or scores[rows].min() >= rest.max()
    assert rows.tolist() == shortlisted(chosen, logprobs, seed, 1, "task").tolist()


def test_random_orders_differ_between_tasks_rounds_and_seeds():
    random = Shortlist(top=20, rank="random")
    orders = {
        tuple(shortlisted(random, [-1.0] * 20, *place))
        for place in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]
    }
    assert len(orders) == 4


def test_a_shortlist_of_nothing_is_refused():
    with pytest.raises(ValidationError):
        Shortlist(top=0)
