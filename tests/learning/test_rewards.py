import random
from collections import Counter
from math import log

import hypothesis.strategies as st
import pytest
from hypothesis import given

from assay.core.records import Evaluation, Provenance, Speedup, Status, Verdict
from assay.learning.rewards import HISTORY, RewardConfig, group_rewards, reward

WHERE = Provenance(device="cpu")


def correct(ratio: float, verdict: Verdict | None = Verdict.FASTER, width: float = 0.0) -> Evaluation:
    speedup = Speedup(
        ratio=ratio, low=ratio - width, high=ratio + width, margin=0.01, pairs=20, replicates=2, raw=ratio
    )
    return Evaluation(
        task_key="t/1", candidate_hash="c", status=Status.CORRECT, verdict=verdict, speedup=speedup, provenance=WHERE
    )


WRONG = Evaluation(task_key="t/1", candidate_hash="c", status=Status.WRONG_OUTPUT, provenance=WHERE)


def values(config: RewardConfig, evaluations: list[Evaluation], history: tuple[float, ...] = ()) -> tuple[float, ...]:
    return group_rewards(config, evaluations, history, random.Random(0)).values


def test_raw_is_the_speedup_of_correct_samples() -> None:
    assert values(RewardConfig(type="raw"), [correct(1.5), WRONG, correct(0.5)]) == (1.5, 0.0, 0.5)


def test_log_lower_pays_for_the_low_end_only() -> None:
    config = RewardConfig(cap=1.0)
    assert reward(config, correct(2.0, width=0.5)) == pytest.approx(log(1.5))
    assert reward(config, correct(1.2, Verdict.UNDECIDED, width=0.4)) == 0.0
    assert reward(config, correct(0.5, Verdict.SLOWER)) == 0.0
    assert reward(config, correct(50.0)) == 1.0


def test_log_lower_pays_nothing_for_doing_nothing() -> None:
    assert reward(RewardConfig(), correct(1.02, Verdict.SAME, width=0.005)) == 0.0


def test_sparse_asks_for_the_verdict_and_a_low_end_above_the_threshold() -> None:
    config = RewardConfig(type="sparse", threshold=1.2)
    found = [correct(1.5, width=0.2), correct(1.5, width=0.4), correct(1.5, Verdict.UNDECIDED), correct(1.5, None)]
    assert values(config, [*found, WRONG]) == (1.0, 0.0, 0.0, 1.0, 0.0)


def test_normalized_divides_by_the_median_of_earlier_correct_speedups() -> None:
    config = RewardConfig(type="normalized", bonus=0.25)
    found = group_rewards(config, [correct(2.0), WRONG, correct(4.0), correct(3.0)], (), random.Random(0))
    # No history: 2 / 1. Then 4 / 2, and 3 / median(2, 4).
    assert found.values == pytest.approx((2.25, 0.0, 2.25, 1.25))
    assert found.history == (2.0, 4.0, 3.0)


def test_the_history_holds_the_last_32_correct_speedups() -> None:
    old = (9.0,) * HISTORY
    found = group_rewards(RewardConfig(type="normalized"), [correct(3.0), WRONG], old, random.Random(0))
    assert found.values[0] == pytest.approx(1 / 3)
    assert found.history == (*old[1:], 3.0)


def test_shuffling_keeps_the_rewards_and_the_history_and_follows_the_generator() -> None:
    config = RewardConfig(type="raw", shuffled=True)
    evaluations = [correct(1 + n / 10) for n in range(12)]
    plain = values(RewardConfig(type="raw"), evaluations)
    first = group_rewards(config, evaluations, (), random.Random(3))
    assert Counter(first.values) == Counter(plain) and first.values != plain
    assert first.history == plain
    assert group_rewards(config, evaluations, (), random.Random(3)) == first


@pytest.mark.parametrize("name", ["raw", "log_lower", "normalized", "sparse"])
def test_an_empty_group_has_no_rewards_and_leaves_the_history(name) -> None:
    found = group_rewards(RewardConfig(type=name), [], (1.5,), random.Random(0))
    assert found.values == () and found.history == (1.5,)


@pytest.mark.parametrize("name", ["raw", "log_lower", "normalized", "sparse"])
@given(st.lists(st.one_of(st.none(), st.floats(0.01, 1000)), max_size=40))
def test_rewards_are_finite_and_never_negative_and_wrong_programs_have_none(name, ratios) -> None:
    evaluations = [WRONG if ratio is None else correct(ratio) for ratio in ratios]
    found = values(RewardConfig(type=name), evaluations)
    assert all(0 <= value < float("inf") for value in found)
    assert all(value == 0 for value, ratio in zip(found, ratios, strict=True) if ratio is None)
