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


def witness(saving_us: float, noise_us: float = 1.0, pairs: int = 40, told_us: float | None = None) -> Witness:
    """A reference of 2 ms, and savings evenly around `saving_us`, within `noise_us`; the runner tells of `told_us`."""
    steps = [2 * i / (pairs - 1) - 1 for i in range(pairs)]
    told = saving_us if told_us is None else told_us
    return Witness(
        Times(
            reference_ns=[2 * MS] * pairs,
            candidate_ns=[round(2 * MS - told * 1000)] * pairs,
            reference_seen_ns=[2 * MS + 60_000] * pairs,
            candidate_seen_ns=[round(2 * MS + 60_000 - (saving_us + noise_us * step) * 1000) for step in steps],
        )
    )


def test_a_witness_confirms_what_it_saw():
    assert witness(500).confirms(0.25)
    assert witness(500).unseen_share(0.25) == pytest.approx(0, abs=1e-3)
    assert not witness(500).refutes()


def test_a_witness_who_saw_nothing_confirms_nothing():
    assert not witness(0).confirms(0.02)
    assert witness(0).unseen_share(0.3) == pytest.approx(0.3, abs=2e-3)


def test_a_lie_about_the_witnessed_calls_is_refuted():
    assert witness(0, told_us=150).refutes()


def test_a_machine_that_has_become_faster_makes_no_liar_of_a_program():
    """The claim came from calls of 3 ms; the reference takes 2 ms now, and a third is saved as before."""
    assert witness(2000 / 3).confirms(1 / 3)
    assert not witness(2000 / 3).refutes()
    assert witness(2000 / 3).unseen_share(1 / 3) == pytest.approx(0, abs=1e-3)


def test_a_claim_within_the_witness_noise_is_neither_confirmed_nor_refuted():
    wild = witness(0, noise_us=400)
    assert not wild.confirms(0.02)
    assert not wild.refutes()


def test_too_few_pairs_are_no_witness():
    few = witness(500, pairs=10, told_us=1900)
    assert not few.confirms(0.25)
    assert not few.refutes()
    assert Witness().unseen_share(1.0) == 0


@given(seen_us=st.floats(-500, 500), noise_us=st.floats(0, 300), claimed=st.floats(0, 0.99))
def test_what_is_left_of_a_claim_was_seen_within_three_errors(seen_us: float, noise_us: float, claimed: float):
    found = witness(seen_us, noise_us)
    seen, error = found.seen_share
    assert claimed - found.unseen_share(claimed) <= max(claimed if claimed <= seen else 0.0, seen + 3 * error) + 1e-9
