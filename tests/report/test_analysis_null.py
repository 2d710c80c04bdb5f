import numpy as np
import pytest
from analysis_views import FAST, SLOW, WRONG, S, copy, make_view

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.report.analysis import analyse
from assay.report.analysis_null import noise_table, null_view

ONE_LUCKY = {"fake/a": (copy("a", 1.1, number=0), copy("a", 0.9, number=1))}


def rng():
    return np.random.default_rng(0)


def test_noise_scores_what_enumeration_gives():
    # Two programs, each fast with chance 1/2: at least one of them with chance 3/4.
    view = make_view({"a": [FAST, SLOW, WRONG, WRONG]}, controls=ONE_LUCKY)
    found = noise_table(view, rng(), redraws=20_000)
    rows = {(row.metric, row.rule): row for row in found.rows}
    solved = rows["tasks solved", "raw"]
    assert solved.noise == pytest.approx(3 / 4, abs=0.02) and solved.run == 1
    # For the p-value one of two copies counts as two of three: 1 - (1/3)^2.
    assert solved.p_value == pytest.approx(8 / 9, abs=0.02)
    assert rows["samples", "raw"].noise == pytest.approx(1 / 4, abs=0.01)
    assert rows["tasks solved", "verified"].noise == 0
    assert (found.measurements, found.fast_raw, found.faster, found.programs) == (2, 1, 0, 2)
    # No copy in two is called faster, which leaves one in three: the same 1 - (2/3)^2 for two programs.
    assert rows["tasks solved", "verified"].p_value == pytest.approx(5 / 9, abs=0.02)
    assert found.tasks_needed is not None


def test_copies_are_drawn_without_replacement_as_far_as_they_go_and_with_it_beyond():
    view = make_view({"a": [FAST, SLOW, WRONG, WRONG]}, controls=ONE_LUCKY)
    points = noise_table(view, rng()).copies["raw"]
    assert [(point.k, point.unbiased) for point in points] == [(1, 0.5), (2, 1.0), (4, None)]
    assert [point.plug_in for point in points] == [1 / 2, 3 / 4, 15 / 16]


def test_samples_of_one_program_share_a_draw_as_they_share_an_evaluation():
    one = S(2.0, Verdict.FASTER, program="one")
    view = make_view({"a": [one] * 50}, controls=ONE_LUCKY)
    for seed in range(5):
        pool = null_view(view, np.random.default_rng(seed)).pool
        assert len(set(pool.samples.raw.tolist())) == 1 and pool.samples.is_correct.all()
    solved = noise_table(view, rng(), redraws=20_000).rows[0]
    assert solved.noise == pytest.approx(1 / 2, abs=0.02)


def test_failed_samples_stay_failed_and_outcomes_are_those_of_copies():
    view = make_view({"a": [FAST, WRONG, SLOW._replace(logprob=-3.0)]}, controls=ONE_LUCKY)
    samples = null_view(view, rng()).pool.samples
    assert samples.is_correct.tolist() == [True, False, True]
    assert set(samples.raw[samples.is_correct].tolist()) <= {1.1, 0.9} and np.isnan(samples.raw[1])
    assert not samples.is_fast_verified.any()
    assert samples.mean_logprob.tolist() == [-1.0, -1.0, -3.0]


def test_a_copy_that_failed_makes_its_draws_fail():
    view = make_view({"a": [FAST, SLOW]}, controls={"fake/a": (copy("a", None),)})
    samples = null_view(view, rng()).pool.samples
    assert not samples.is_correct.any() and np.isnan(samples.speedup).all()


def test_tasks_without_copies_are_left_out_and_counted():
    view = make_view({"a": [FAST, SLOW], "b": [FAST, SLOW]}, controls=ONE_LUCKY)
    assert null_view(view, rng()).pool.task_keys == ("fake/a",)
    assert noise_table(view, rng()).left_out == 1


def test_a_run_without_copies_has_no_null():
    with pytest.raises(UsageError, match="null-evaluations"):
        noise_table(make_view({"a": [FAST]}), rng())


def test_the_words_say_when_one_measurement_a_task_is_all_there_is():
    view = make_view({"a": [FAST, SLOW]}, controls={"fake/a": (copy("a", 1.1),)})
    words = noise_table(view, rng()).in_words
    assert (
        "every redraw is the same" in words
        and "a chance below 1 in 2" in words
        and "Of 1 measurement of identical copies" in words
    )


def test_the_whole_analysis_runs_on_the_null_and_says_so():
    view = make_view({"a": [FAST, SLOW], "b": [FAST, WRONG]}, controls=ONE_LUCKY | {"fake/b": (copy("b", 1.3),)})
    found = analyse([view], null=True)
    assert found.is_null and len(found.noise) == 1
    assert found.scaling is not None and found.scaling.fast_1.verified[-1].value == 0
    assert found == analyse([view], null=True)
    plain = analyse([view])
    assert plain.scaling is not None and plain.scaling.fast_1.verified[-1].value == 1 and not plain.noise


def test_pure_noise_is_rarely_told_from_noise():
    source = np.random.default_rng(3)
    small = 0
    for _ in range(60):
        tasks, controls = {}, {}
        for p in range(10):
            tasks[str(p)] = [S(float(raw), Verdict.SAME) for raw in np.exp(source.normal(0, 0.1, 2))]
            draws = np.exp(source.normal(0, 0.1, 60))
            controls[f"fake/{p}"] = tuple(copy(str(p), float(raw), number=n) for n, raw in enumerate(draws))
        found = noise_table(make_view(tasks, controls=controls), source, redraws=200)
        small += found.rows[0].p_value <= 0.05
    assert small <= 8  # 5% of 60 is 3; above 8 with chance below 1%


def test_enough_copies_show_that_verified_wins_are_no_noise():
    tasks = {str(p): [FAST, SLOW, WRONG] for p in range(6)}
    controls = {f"fake/{p}": tuple(copy(str(p), 1.0, number=n) for n in range(10)) for p in range(6)}
    rows = noise_table(make_view(tasks, controls=controls), rng()).rows
    verified = next(row for row in rows if row.metric == "tasks solved" and row.rule == "verified")
    # A program is called faster at most once in 61: all six tasks solved by two programs each is beyond chance.
    assert verified.run == 1 and verified.p_value < 0.01
