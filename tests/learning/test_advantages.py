from math import exp, log, sqrt
from typing import get_args

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from assay.core.errors import UsageError
from assay.learning.advantages import ENTROPIC_MAX_BETA, advantages, entropic_beta, is_constant
from assay.learning.names import AdvantageName

NAMES = get_args(AdvantageName)
CENTRED = ("group_center", "grpo", "rloo")

# Steps of 1/64, so that equal rewards are equal and others are well apart.
REWARDS = st.integers(0, 640).map(lambda n: n / 64)
GROUPS = st.tuples(st.integers(1, 4), st.integers(4, 9)).flatmap(lambda shape: arrays(float, shape, elements=REWARDS))


def test_group_center_by_hand() -> None:
    assert advantages("group_center", [[0, 1, 2, 5], [1, 1, 1, 1]]).tolist() == [[-2, -1, 0, 3], [0, 0, 0, 0]]


def test_grpo_by_hand() -> None:
    std = sqrt(14 / 3)  # n - 1
    expected = np.array([-2, -1, 0, 3]) / (std + 1e-6)
    assert advantages("grpo", [[0, 1, 2, 5]])[0] == pytest.approx(expected)


def test_rloo_is_the_reward_less_the_mean_of_the_others() -> None:
    assert advantages("rloo", [[0, 1, 2, 5]])[0] == pytest.approx([0 - 8 / 3, 1 - 7 / 3, 2 - 2, 5 - 1])


def test_global_compares_across_tasks_so_a_constant_group_counts() -> None:
    std = sqrt(4 * 0.25 / 3)
    assert advantages("global", [[0, 0], [1, 1]]) == pytest.approx(np.array([[-0.5, -0.5], [0.5, 0.5]]) / std)


def test_entropic_of_one_winner_in_four_by_hand() -> None:
    # p of the winner is x, of each other (1 - x) / 3, and x log(4 x) + (1 - x) log(4 (1 - x) / 3) = log 2.
    beta = entropic_beta([1, 0, 0, 0])
    x = exp(beta) / (exp(beta) + 3)
    assert x * log(4 * x) + (1 - x) * log(4 * (1 - x) / 3) == pytest.approx(log(2))
    e = exp(-beta)
    expected = [min(1 / e, 4) - 1] + [e / ((1 + 2 * e) / 3) - 1] * 3
    assert advantages("entropic", [[1, 0, 0, 0]])[0] == pytest.approx(expected)


def test_entropic_without_a_beta_takes_the_bound_and_stays_finite() -> None:
    assert entropic_beta([1, 1, 1, 0]) == ENTROPIC_MAX_BETA  # the divergence stays below log(4 / 3)
    assert entropic_beta([1, 1, 0, 0]) > 30  # it reaches log(4 / 2) by rounding only
    found = advantages("entropic", [[1, 1, 0, 0], [1, 1, 1, 0]])
    assert found[0] == pytest.approx([2, 2, -1, -1])  # 1 / (1/3) - 1 = 2
    assert found[1] == pytest.approx([0.5, 0.5, 0.5, -1])


def test_entropic_clamps_a_lone_winner() -> None:
    found = advantages("entropic", [[1e5, 0, 0, 0, 0, 0, 0, 0]])
    assert found.max() <= 7 and np.isfinite(found).all()


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_entropic_of_fewer_than_four_is_refused(samples) -> None:
    with pytest.raises(UsageError, match="at least 4"):
        advantages("entropic", [[1.0] * samples])


@pytest.mark.parametrize("name", [name for name in NAMES if name != "entropic"])
def test_a_group_of_one_and_no_groups_give_nothing(name) -> None:
    assert advantages(name, [[3.0]]).tolist() == [[0.0]]
    assert advantages(name, np.empty((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("rewards", [[[1.0, float("nan")]], [[float("inf"), 0.0]], [1.0, 2.0]])
def test_rewards_that_are_not_finite_rows_are_refused(rewards) -> None:
    with pytest.raises(ValueError, match="finite rewards of shape"):
        advantages("group_center", rewards)


@pytest.mark.parametrize("name", NAMES)
@given(st.floats(-1e3, 1e3), st.integers(1, 3), st.integers(4, 8))
def test_constant_rewards_give_exactly_nothing(name, value, tasks, samples) -> None:
    assert not advantages(name, np.full((tasks, samples), value)).any()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "global"])
@given(GROUPS)
def test_a_constant_group_gives_exactly_nothing_whatever_the_others_are(name, rewards_PG) -> None:
    rewards_PG[0] = rewards_PG[0, 0]
    assert is_constant(rewards_PG)[0]
    assert not advantages(name, rewards_PG)[0].any()


@pytest.mark.parametrize("name", CENTRED)
@given(GROUPS)
def test_centred_advantages_sum_to_zero_in_each_group(name, rewards_PG) -> None:
    assert advantages(name, rewards_PG).sum(axis=1) == pytest.approx(0, abs=1e-9)


@given(GROUPS)
def test_global_advantages_sum_to_zero_over_all(rewards_PG) -> None:
    assert advantages("global", rewards_PG).sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(GROUPS, st.randoms(use_true_random=False))
def test_permuted_rewards_give_permuted_advantages(name, rewards_PG, rng) -> None:
    order = list(range(rewards_PG.shape[1]))
    rng.shuffle(order)
    assert advantages(name, rewards_PG[:, order]) == pytest.approx(advantages(name, rewards_PG)[:, order], abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@given(GROUPS)
def test_a_higher_reward_never_has_a_lower_advantage(name, rewards_PG) -> None:
    found_PG = advantages(name, rewards_PG)
    for rewards_G, found_G in zip(rewards_PG, found_PG, strict=True):
        in_order = found_G[np.argsort(rewards_G, kind="stable")]
        assert (np.diff(in_order) >= -1e-9).all()


@pytest.mark.parametrize("name", NAMES)
@given(GROUPS, st.integers(-5, 5))
def test_what_is_added_to_all_rewards_changes_nothing(name, rewards_PG, shift) -> None:
    assert advantages(name, rewards_PG + shift) == pytest.approx(advantages(name, rewards_PG), abs=1e-9)


@given(GROUPS, st.sampled_from([0.5, 2.0, 4.0]))
def test_entropic_advantages_do_not_depend_on_the_scale_of_rewards(rewards_PG, factor) -> None:
    once, scaled = advantages("entropic", rewards_PG), advantages("entropic", factor * rewards_PG)
    assert scaled == pytest.approx(once, abs=1e-6)
