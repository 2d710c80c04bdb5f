"""The published figures agree with one another as far as they can."""

import random

import numpy as np
import pytest

from assay.stats import published


def test_aggregates_are_the_means_of_the_tasks():
    means = np.array(published.TRAJECTORY.fast_1).mean(axis=0)
    np.testing.assert_allclose(means, published.TRAJECTORY.aggregate, atol=1e-3)


def test_seed_means_are_those_reported():
    assert np.mean(published.BOA_BY_SEED.fast_1) == pytest.approx(published.BOA_MEAN, abs=5e-4)
    assert published.BOA_BY_SEED.fast_1[0] == max(published.TRAJECTORY.aggregate)


def test_the_best_of_n_curve_starts_below_random_correct_and_ends_at_the_oracle():
    assert published.BEST_OF_N_CURVE[0] < published.SELECTORS["random-correct"].fast_1
    assert published.BEST_OF_N_CURVE[-1] == published.SELECTORS["oracle"].fast_1


def test_the_published_split_rule_gives_the_published_tasks():
    ids = list(range(1, 101))
    random.Random(published.SPLIT_SEED).shuffle(ids)
    assert tuple(map(str, sorted(ids[80:]))) == published.EVAL_TASKS
