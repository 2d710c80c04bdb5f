"""What the records refuse, and what adds up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from assay.core.ledger import Ledger, Spend
from assay.core.records import Completion, Evaluation, Provenance, Speedup, Status, StopReason, Verdict, content_hash

SPEEDUP = Speedup(ratio=1.5, low=1.4, high=1.6, margin=0.01, pairs=20, replicates=2, raw=1.5)
PROVENANCE = Provenance(device="cpu")


def evaluation(status: Status, **fields: object) -> Evaluation:
    values = {"task_key": "t/1", "candidate_hash": "abc", "status": status, "provenance": PROVENANCE, **fields}
    return Evaluation.model_validate(values)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (Status.WRONG_OUTPUT, {"speedup": SPEEDUP}),
        (Status.TIMEOUT, {"verdict": Verdict.FASTER, "speedup": SPEEDUP}),
        (Status.CORRECT, {"verdict": Verdict.FASTER}),
        (Status.REJECTED, {}),
        (Status.PARSE_ERROR, {}),
        (Status.CORRECT, {"candidate_hash": None}),
    ],
)
def test_a_status_that_its_fields_contradict_is_refused(status: Status, fields: dict):
    with pytest.raises(ValidationError):
        evaluation(status, **fields)


def test_only_a_verdict_makes_a_win():
    assert evaluation(Status.CORRECT, verdict=Verdict.FASTER, speedup=SPEEDUP).is_verified_faster
    assert not evaluation(Status.CORRECT, verdict=Verdict.UNDECIDED, speedup=SPEEDUP).is_verified_faster


def test_an_interval_holds_its_ratio():
    with pytest.raises(ValidationError, match="does not hold"):
        Speedup.model_validate(SPEEDUP.model_dump() | {"ratio": 2.0})


def test_tokens_and_logprobs_come_in_pairs():
    with pytest.raises(ValidationError, match="log-probabilities"):
        Completion(tokens=(1, 2), logprobs=(-0.1,), text="", stop_reason=StopReason.STOP)


@given(st.lists(st.text(), max_size=3), st.lists(st.text(), max_size=3))
def test_lists_that_differ_have_different_hashes(one: list[str], other: list[str]):
    assert (content_hash(*one) == content_hash(*other)) == (one == other)


def test_spending_adds_up_and_unknown_money_stays_unknown():
    ledger = Ledger()
    ledger.charge(Spend(rollouts=2, sampling_s=0.5))
    ledger.charge(Spend(rollouts=1, evaluations=4))
    assert ledger.total == Spend(rollouts=3, evaluations=4, sampling_s=0.5)
    assert (ledger.total + Spend(dollars=1.5)).dollars == 1.5
