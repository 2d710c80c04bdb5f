"""Curves over K and over the number of evaluations, against enumeration and against whole-pool selection."""

import itertools

import numpy as np
import pytest
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.selection.curves import curve_of, evaluated_first_values, selector_values, success_values
from assay.selection.outcomes import selection_report
from assay.selection.pool import Pool
from assay.selection.selectors import available, build_selector


def _random_pool(seed, tasks=3, n=6):
    rng = np.random.default_rng(seed)

    def draw(task, index):
        is_correct, ratio = rng.random() < 0.8, float(rng.integers(1, 5)) / 2
        verdict = (Verdict.FASTER, Verdict.SAME, None)[rng.integers(3)] if is_correct else None
        return attempt(task, index, [-float(rng.integers(1, 4))], ratio=ratio if is_correct else None, verdict=verdict)

    return Pool.from_attempts(draw(str(p), i) for p in range(tasks) for i in range(n))


def test_best_of_k_is_the_mean_over_tasks_of_the_share_of_subsets_with_a_success():
    pool = _random_pool(1)
    curve = curve_of(*success_values(pool, "verified", range(1, 7)))
    for k, value in zip(curve.ks, curve.values, strict=True):
        shares = [
            np.mean([samples.is_fast_verified[list(s)].any() for s in itertools.combinations(range(6), k)])
            for _, samples in pool.by_task()
        ]
        assert value == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("seed", range(4))
def test_a_selector_curve_ends_at_what_the_selector_keeps_of_the_whole_pool(seed):
    pool = _random_pool(seed)
    report = selection_report(pool, np.random.default_rng(0))
    for selector in available(pool.samples):
        sizes, values = selector_values(pool, selector)
        raw, verified = (curve_of(sizes, values[rule]).values[-1] for rule in ("raw", "verified"))
        assert raw == pytest.approx(report.selectors[selector.name].fast_1_raw)
        assert verified == pytest.approx(report.selectors[selector.name].fast_1_verified)


def test_every_selector_starts_from_a_random_sample():
    pool = _random_pool(7)
    _, start_P1 = success_values(pool, "raw", [1])
    for selector in available(pool.samples):
        assert selector_values(pool, selector, [1])[1]["raw"] == pytest.approx(start_P1)


def test_the_oracle_by_point_estimate_is_best_of_k():
    pool = _random_pool(3)
    sizes, values = selector_values(pool, build_selector("oracle"))
    best_sizes, best_values = success_values(pool, "raw")
    assert sizes.tolist() == best_sizes.tolist() and values["raw"] == pytest.approx(best_values)


def test_evaluating_in_an_order_finds_the_success_where_it_stands():
    # By surprisal: index 2, then 0 and 3 tied, then 1; the only success is index 3.
    pool = Pool.from_attempts(
        [
            attempt("t", 0, [-2.0], ratio=1.0),
            attempt("t", 1, [-1.0]),
            attempt("t", 2, [-3.0], ratio=0.5),
            attempt("t", 3, [-2.0], ratio=2.0, verdict=Verdict.FASTER),
        ]
    )
    sizes = [1, 2, 3, 4]
    assert evaluated_first_values(pool, "surprisal", ms=sizes)[1][0] == pytest.approx((0, 0.5, 1, 1))
    assert evaluated_first_values(pool, "confidence", ms=sizes)[1][0] == pytest.approx((0, 0.5, 1, 1))
    assert evaluated_first_values(pool, "random", ms=sizes)[1][0] == pytest.approx((0.25, 0.5, 0.75, 1))


@pytest.mark.parametrize("order", ["surprisal", "confidence"])
def test_evaluation_in_a_tied_order_equals_the_average_over_permutations(order):
    pool = _random_pool(9, tasks=2, n=5)
    curve = curve_of(*evaluated_first_values(pool, order, "raw", range(1, 6)))
    for m, value in zip(curve.ks, curve.values, strict=True):
        shares = []
        for _, samples in pool.by_task():
            score = samples.mean_logprob * (1 if order == "confidence" else -1)
            wins = [
                samples.is_fast_raw[sorted(p, key=lambda i: -score[i])[:m]].any()
                for p in itertools.permutations(range(5))
            ]
            shares.append(np.mean(wins))
        assert value == pytest.approx(np.mean(shares))


def test_a_sample_without_logprobs_is_evaluated_last():
    pool = Pool.from_attempts([attempt("t", 0, [], ratio=2.0), attempt("t", 1, [-5.0])])
    for order in ("surprisal", "confidence"):
        assert evaluated_first_values(pool, order, "raw")[1].tolist() == [[0.0, 1.0]]


def test_a_curve_names_its_equivalent_k():
    pool = Pool.from_attempts([attempt("t", i, ratio=2.0 if i == 0 else None) for i in range(4)])
    curve = curve_of(*success_values(pool, "raw"))
    assert curve.values == pytest.approx((0.25, 0.5, 1.0))
    assert str(curve.equivalent_k(0.1)) == "< 1" and curve.equivalent_k(0.75).k == pytest.approx(2 * 2**0.5)


def test_sizes_that_some_task_cannot_give_are_a_users_mistake():
    pool = Pool.from_attempts([attempt("a", 0), attempt("b", 0), attempt("b", 1)])
    with pytest.raises(UsageError, match="lie in 1 to 1"):
        success_values(pool, "raw", [1, 2])
    with pytest.raises(UsageError, match="at least one sample"):
        success_values(Pool.from_attempts([attempt("a", 0)], tasks=["a", "b"]))
