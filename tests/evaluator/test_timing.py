"""The two clocks and the witness, on made-up times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluator.timing import Times, Witness, compare_clocks

MS = 1_000_000
OVERHEADS = [60_000, 61_000, 59_000, 62_000, 58_000, 60_000, 63_000, 60_500, 59_500, 61_500]


def times(reference_ms: float, claimed_ms: float, true_ms: float, noise: list[int] = OVERHEADS) -> Times:
    """Ten pairs of a reference, and of a candidate that says `claimed_ms` and takes `true_ms`."""
    jitter = [n - 60_000 for n in reversed(noise)]
    return Times(
        reference_ns=[int(reference_ms * MS)] * 10,
        candidate_ns=[int(claimed_ms * MS)] * 10,
        reference_seen_ns=[int(reference_ms * MS) + n for n in noise],
        candidate_seen_ns=[int(true_ms * MS) + 60_000 + n for n in jitter],
    )


def test_an_honest_gain_is_no_mismatch():
    clocks = compare_clocks([times(2.0, 1.5, 1.5)])
    assert clocks.claimed_ns == pytest.approx(0.5 * MS)
    assert not clocks.is_mismatch


def test_a_gain_that_the_judge_did_not_see_is_a_mismatch():
    assert compare_clocks([times(2.0, 1.0, 2.0)]).is_mismatch


def test_a_slower_candidate_is_no_mismatch():
    assert not compare_clocks([times(2.0, 3.0, 5.0)]).is_mismatch


def test_slowed_times_add_to_the_candidate_only():
    slowed = times(2.0, 1.5, 1.5).slowed(0.5 * MS)
    assert slowed.candidate_ns == [2 * MS] * 10
    assert slowed.log_ratios() == pytest.approx([0.0] * 10)


def witness(saving_us: float, noise_us: float = 1.0, pairs: int = 40) -> Witness:
    """Savings evenly around `saving_us`, within `noise_us`."""
    steps = [2 * i / (pairs - 1) - 1 for i in range(pairs)]
    return Witness([round((saving_us + noise_us * step) * 1000) for step in steps])


def test_a_witness_confirms_what_it_saw():
    assert witness(500).confirms(500_000)
    assert witness(500).unseen_ns(500_000) == 0


def test_a_witness_who_saw_nothing_confirms_nothing_and_refutes_a_large_claim():
    assert not witness(0).confirms(50_000)
    assert witness(0).refutes(150_000, reference_ns=2 * MS)


def test_a_claim_within_the_witness_noise_is_neither_confirmed_nor_refuted():
    wild = witness(0, noise_us=400)
    assert not wild.confirms(50_000)
    assert not wild.refutes(50_000, reference_ns=0.1 * MS)


def test_too_few_pairs_are_no_witness():
    few = witness(500, pairs=10)
    assert not few.confirms(500_000)
    assert not few.refutes(5 * MS, reference_ns=2 * MS)
    assert Witness().unseen_ns(1e6) == 0


@given(seen_us=st.floats(-500, 500), noise_us=st.floats(0, 300), claimed_us=st.floats(0, 1000))
def test_what_is_left_of_a_claim_was_seen_within_three_errors(seen_us: float, noise_us: float, claimed_us: float):
    found = witness(seen_us, noise_us)
    left = claimed_us * 1000 - found.unseen_ns(claimed_us * 1000)
    assert left <= max(claimed_us * 1000 if claimed_us <= seen_us else 0, found.seen_ns + 3 * found.error_ns) + 1
