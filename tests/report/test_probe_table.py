"""The probe's table on numbers worked out by hand."""

from math import sqrt
from pathlib import Path

import pytest

from assay.core.ledger import Spend
from assay.core.records import Verdict
from assay.report.probe import probe_table, speedups
from assay.runs.probe import Probe, ProbePool, ProbeSample, ProbeStep

# Two tasks; sums of two tokens each. Speedups as measured, and as a point estimate would have them.
RATIOS = [1.4, 1.001, 0.8, 2.0, 1.2, 0.999]
RAW = [1.5, 0.9, 0.7, 2.1, 1.3, 1.1]
VERDICTS = ["faster", "same", "slower", "faster", "faster", "undecided"]


def sample(index: int, verdicts=VERDICTS) -> ProbeSample:
    verdict = None if verdicts is None else Verdict(verdicts[index])
    return ProbeSample(
        id=f"0:t:{index}",
        task_key="a" if index < 3 else "b",
        n_tokens=2,
        stored_sum=-2.0,
        raw=RAW[index],
        ratio=RATIOS[index],
        verdict=verdict,
    )


def made(*surprisals, verdicts=VERDICTS, samples=6) -> Probe:
    pool = ProbePool(
        run="pool",
        round=0,
        model="m",
        snapshot_id="step0",
        samples_in_all=10,
        samples=tuple(sample(index, verdicts) for index in range(samples)),
    )
    return Probe(
        pool,
        tuple(
            ProbeStep(
                step=step,
                snapshot_id=f"step{step}",
                sums={f"0:t:{i}": -2.0 * x for i, x in enumerate(of_step)},
                spend=Spend(teacher_tokens=12),
            )
            for step, of_step in enumerate(surprisals)
        ),
    )


def test_what_the_measurement_does_not_tell_from_the_reference_is_tied_at_1():
    samples = made([1] * 6).pool.samples
    verified, raw = speedups(samples, "verified"), speedups(samples, "raw")
    assert verified is not None and verified.tolist() == [1.4, 1.0, 0.8, 2.0, 1.2, 1.0]
    assert raw is not None and raw.tolist() == RAW
    assert speedups(made([1] * 6, verdicts=None).pool.samples, "verified") is None


def test_rows_are_those_worked_out_by_hand():
    table = probe_table(Path("run"), made([1, 2, 3, 1, 2, 3], [1, 1, 1, 4, 4, 4]))
    first, second = table.rows
    assert (first.surprisal, second.surprisal) == (2.0, 2.5)
    assert (first.spread, second.spread) == (1.0, 0.0)
    assert (first.is_arbitrary, second.is_arbitrary) == (False, True)
    # Ranks 1.5 3.5 5.5 1.5 3.5 5.5 and 5 2.5 1 6 4 2.5; around 3.5 products sum to -15, squares to 16 and 17.
    verified, raw, flat = first.rho["verified"], first.rho["raw"], second.rho["verified"]
    assert verified is not None and raw is not None and flat is not None
    assert verified.overall.rho == pytest.approx(-15 / sqrt(16 * 17))
    assert verified.within_task == pytest.approx((-1.0 - 1.0) / 2) and verified.tasks_with_rho == 2
    # Within b the raw estimate orders 2.1, 1.3, 1.1 as well.
    assert raw.within_task == pytest.approx(-1.0)
    assert flat.within_task is None


def test_no_verdicts_leave_the_verified_columns_out():
    table = probe_table(Path("run"), made([1, 2, 3, 1, 2, 3], [3, 2, 1, 1, 2, 3], verdicts=None))
    assert all(row.rho["verified"] is None and row.rho["raw"] is not None for row in table.rows)
    assert "raw speedup" in table.in_words


def test_agreement_is_of_the_step_with_the_pools_own_weights():
    assert probe_table(Path("run"), made([1, 1, 1, 1, 1, 1.25])).agreement == pytest.approx(0.25)


def test_a_change_is_claimed_only_with_an_interval_that_leaves_0_out():
    rising = probe_table(Path("run"), made([1, 2, 3, 1, 2, 3], [3, 2, 1, 3, 2, 1]))
    assert "have become more surprising beside the others" in rising.in_words
    small = probe_table(Path("run"), made([1, 2, 3, 1, 2, 3], [1, 2, 3, 1, 3, 2]))
    assert "do not support a change" in small.in_words
    assert "no change to speak of" in probe_table(Path("run"), made([1, 2, 3, 1, 2, 3])).in_words


def test_what_it_cost_adds_up():
    assert probe_table(Path("run"), made([1] * 6, [2] * 6)).spent.teacher_tokens == 24
