"""Step selection on the published trajectory, by hand, and the bias that the split estimate removes."""

import numpy as np
import pytest
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.selection.adaptation import (
    Trajectory,
    best_of_adaptation,
    early_stop,
    per_task_oracle,
    step_choices,
    trajectory,
)
from assay.selection.pool import Pool
from assay.stats import published


def _published_path():
    table = published.TRAJECTORY
    n = table.samples_per_task
    outcomes = tuple(
        tuple(np.arange(n) < round(task[step] * n) for task in table.fast_1) for step in range(len(table.aggregate))
    )
    return Trajectory(tuple(range(len(outcomes))), table.task_ids, outcomes)


def test_published_trajectory_gives_the_published_choices():
    choices = {c.rule: c for c in step_choices(_published_path(), np.random.default_rng(0))}
    rules = published.CHECKPOINT_RULES
    assert (choices["boa"].step, choices["early-stop-1"].step, choices["fixed-5"].step) == (2, 2, 5)
    # The published figures have three decimals; the counts behind them give 41.25 and 48.75.
    assert choices["boa"].in_batch == pytest.approx(rules["boa"], abs=1e-9)
    assert choices["early-stop-1"].in_batch == pytest.approx(rules["early_stop_1"], abs=1e-9)
    assert choices["fixed-5"].in_batch == pytest.approx(rules["fixed_final"], abs=6e-4)
    assert choices["per-task-oracle"].in_batch == pytest.approx(rules["per_task_oracle"], abs=6e-4)
    assert choices["per-task-oracle"].step is None
    assert (choices["early-stop-1"].last_step, choices["boa"].last_step) == (3, 5)


def test_published_choices_are_lower_on_samples_that_did_not_choose():
    choices = {c.rule: c for c in step_choices(_published_path(), np.random.default_rng(0))}
    for rule in ("boa", "per-task-oracle"):
        split = choices[rule].split
        assert split is not None and split < choices[rule].in_batch - 0.005
    assert choices["fixed-5"].split == pytest.approx(choices["fixed-5"].in_batch, abs=1e-9)


def test_rules_on_the_published_aggregate_itself():
    aggregate = published.TRAJECTORY.aggregate
    assert best_of_adaptation(aggregate) == 2
    assert early_stop(aggregate, patience=1) == (2, 3)
    # Steps 3 and 4 are equal, so the second one is no regression and the run goes to its end.
    assert early_stop(aggregate, patience=2) == (2, 5)
    assert per_task_oracle(np.array(published.TRAJECTORY.fast_1).T) == pytest.approx(0.488, abs=6e-4)


def test_ties_go_to_the_earliest_step():
    assert best_of_adaptation([0.1, 0.3, 0.3 + 1e-13]) == 1
    assert best_of_adaptation([0.0]) == 0


def test_early_stop_misses_what_comes_after_a_dip():
    assert early_stop([0.2, 0.1, 0.9]) == (0, 1)
    assert early_stop([0.2, 0.1, 0.9], patience=2) == (2, 2)
    assert early_stop([0.5, 0.4, 0.3, 0.9], patience=2) == (0, 2)


def test_impossible_arguments_raise():
    with pytest.raises(ValueError):
        early_stop([0.1], patience=0)
    with pytest.raises(ValueError):
        best_of_adaptation([])
    with pytest.raises(UsageError, match="no complete step 9"):
        step_choices(_published_path(), np.random.default_rng(0), fixed=9)


def test_choosing_among_equal_steps_is_biased_in_batch_and_unbiased_when_split():
    rng = np.random.default_rng(4)
    naive, split = [], []
    for _ in range(60):
        outcomes = tuple(tuple(rng.random(16) < 0.4 for _ in range(3)) for _ in range(6))
        path = Trajectory(tuple(range(6)), ("a", "b", "c"), outcomes)
        boa = step_choices(path, rng, halvings=20)[0]
        assert boa.split is not None
        naive.append(boa.in_batch)
        split.append(boa.split)
    assert np.mean(naive) > 0.45
    assert np.mean(split) == pytest.approx(0.4, abs=0.03)


def test_a_single_sample_cannot_be_split():
    path = Trajectory((0, 1), ("a",), ((np.array([True]),), (np.array([False]),)))
    assert all(choice.split is None for choice in step_choices(path, np.random.default_rng(0)))


def test_a_pool_becomes_a_trajectory_without_its_incomplete_rounds():
    attempts = [
        attempt(task, i, ratio=2.0, verdict=Verdict.FASTER if (i + step) % 2 else Verdict.SAME, round=step)
        for step in range(3)
        for task in ("a", "b")
        for i in range(3)
        if not (step == 2 and task == "b")
    ]
    path = trajectory(Pool.from_attempts(attempts))
    assert (path.steps, path.incomplete) == ((0, 1), (2,))
    np.testing.assert_allclose(path.rates_SP, [[1 / 3, 1 / 3], [2 / 3, 2 / 3]])
    assert trajectory(Pool.from_attempts(attempts), "raw").rates_SP.min() == 1.0


def test_a_pool_without_a_complete_round_has_no_trajectory():
    with pytest.raises(UsageError, match="samples of every task"):
        trajectory(Pool.from_attempts([attempt("a", 0), attempt("b", 0, round=1)]))
