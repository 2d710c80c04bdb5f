"""The two clocks, on made-up times."""

import pytest

from assay.evaluator.timing import Times, compare_clocks

MS = 1_000_000
OVERHEADS = [60_000, 61_000, 59_000, 62_000, 58_000, 60_000, 63_000, 60_500, 59_500, 61_500]


def times(reference_ms: float, claimed_ms: float, true_ms: float, noise: list[int] = OVERHEADS) -> Times:
    """Ten pairs of a reference, and of a candidate that says `claimed_ms` and takes `true_ms`."""
    jitter = [n - 60_000 for n in reversed(noise)]
    return Times(
        reference_ns=[int(reference_ms * MS)] * 10,
        candidate_ns=[int(claimed_ms * MS)] * 10,
        reference_wall_ns=[int(reference_ms * MS) + n for n in noise],
        candidate_wall_ns=[int(true_ms * MS) + 60_000 + n for n in jitter],
    )


def test_an_honest_gain_is_confirmed():
    clocks = compare_clocks([times(2.0, 1.5, 1.5)])
    assert clocks.claimed_ns == pytest.approx(0.5 * MS)
    assert clocks.is_confirmed and not clocks.is_mismatch


def test_a_gain_that_the_judge_did_not_see_is_a_mismatch():
    clocks = compare_clocks([times(2.0, 1.0, 2.0)])
    assert clocks.is_mismatch and not clocks.is_confirmed


def test_a_small_lie_is_not_confirmed():
    assert not compare_clocks([times(2.0, 1.95, 2.0)]).is_confirmed


def test_noise_on_the_judges_clock_confirms_nothing():
    wild = [60_000, 5 * MS, 61_000, 3 * MS, 60_000, 2 * MS, 70_000, 4 * MS, 65_000, 6 * MS]
    assert not compare_clocks([times(2.0, 1.9, 2.0, noise=wild)]).is_confirmed


def test_a_slower_candidate_is_no_mismatch():
    assert not compare_clocks([times(2.0, 3.0, 5.0)]).is_mismatch


def test_believed_times_are_what_the_judge_saw_of_a_liar():
    believed = times(2.0, 0.1, 2.0).believed()
    assert min(believed.candidate_ns) > 1.99 * MS
    assert believed.reference_ns[0] == pytest.approx(2.0 * MS, rel=0.01)


def test_believed_times_of_an_honest_pair_stay():
    honest = times(2.0, 1.5, 1.5)
    assert honest.believed().log_ratios().mean() == pytest.approx(honest.log_ratios().mean(), abs=0.002)
