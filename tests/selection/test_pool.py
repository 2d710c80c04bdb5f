"""Pools from records and from columns are the same pool; order, missing values and mistakes."""

import dataclasses
import random

import numpy as np
import pytest
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.core.records import Verdict
from assay.selection.pool import Pool, bottom_logprob

ATTEMPTS = [
    attempt("b", 1, (-1.0, -3.0), ratio=2.0, verdict=Verdict.FASTER, raw=2.5, source="x = 1"),
    attempt("b", 0, (), source="x = 2"),
    attempt("a", 0, (-0.5,), ratio=0.8, verdict=Verdict.SLOWER, source="x = 1"),
    attempt("a", 0, (-0.25,), ratio=1.01, source="x = 3", round=1),
]


def _assert_same(left, right):
    assert left.task_keys == right.task_keys
    np.testing.assert_array_equal(left.offsets, right.offsets)
    for field in dataclasses.fields(left.samples):
        np.testing.assert_array_equal(getattr(left.samples, field.name), getattr(right.samples, field.name))


def test_attempts_become_columns_in_drawn_order():
    pool = Pool.from_attempts(ATTEMPTS)
    assert pool.task_keys == ("b", "a") and pool.offsets.tolist() == [0, 2, 4]
    b, a = pool.of(0), pool.of(1)
    assert b.index.tolist() == [0, 1] and a.round.tolist() == [0, 1]
    assert b.n_tokens.tolist() == [0, 2]
    assert np.isnan(b.mean_logprob[0]) and b.mean_logprob[1] == -2.0 and b.sum_logprob[1] == -4.0
    assert b.is_correct.tolist() == [False, True] and np.isnan(b.speedup[0])
    assert (b.speedup[1], b.low[1], b.high[1], b.raw[1]) == (2.0, 1.8, pytest.approx(2.2), 2.5)
    assert b.is_fast_verified.tolist() == [False, True] and a.is_fast_verified.tolist() == [False, False]
    assert b.is_fast_raw.tolist() == [False, True] and a.is_fast_raw.tolist() == [False, True]
    assert b.candidate[1] == a.candidate[0] != a.candidate[1]
    assert b.self_certainty is None


def test_columns_in_any_order_give_the_same_pool():
    rows = [(a.sample, a.evaluation, a.evaluation.speedup) for a in random.Random(0).sample(ATTEMPTS, 4)]
    pool = Pool.from_columns(
        task_key=[s.task_key for s, _, _ in rows],
        round=[s.round for s, _, _ in rows],
        index=[s.index for s, _, _ in rows],
        n_tokens=[s.n_tokens for s, _, _ in rows],
        sum_logprob=[s.sum_logprob for s, _, _ in rows],
        is_correct=[e.is_correct for _, e, _ in rows],
        speedup=[u and u.ratio for _, _, u in rows],
        low=[u and u.low for _, _, u in rows],
        high=[u and u.high for _, _, u in rows],
        raw=[u and u.raw for _, _, u in rows],
        verdict=[e.verdict and str(e.verdict) for _, e, _ in rows],
        candidate_hash=[e.candidate_hash for _, e, _ in rows],
        bottom_logprob=[bottom_logprob(s.completion.logprobs) for s, _, _ in rows],
        tasks=["b", "a"],
    )
    reference = Pool.from_attempts(ATTEMPTS)
    codes = [{}, {}]
    renamed = [
        dataclasses.replace(
            p,
            samples=dataclasses.replace(
                p.samples, candidate=np.array([seen.setdefault(c, len(seen)) for c in p.samples.candidate])
            ),
        )
        for p, seen in zip((pool, reference), codes, strict=True)
    ]
    _assert_same(*renamed)


def test_a_task_without_samples_stays_in_the_pool():
    pool = Pool.from_attempts(ATTEMPTS, tasks=["a", "never", "b"])
    assert [len(samples) for _, samples in pool.by_task()] == [2, 0, 2]


def test_a_round_is_a_pool_of_its_own():
    first = Pool.from_attempts(ATTEMPTS).of_rounds([0])
    assert first.task_keys == ("b", "a") and first.offsets.tolist() == [0, 2, 3]
    assert Pool.from_attempts(ATTEMPTS).of_rounds([1]).offsets.tolist() == [0, 0, 1]


def test_an_empty_pool_has_no_tasks():
    assert len(Pool.from_attempts([])) == 0


def test_an_unknown_task_and_a_short_column_are_refused():
    with pytest.raises(UsageError, match="'b'"):
        Pool.from_attempts(ATTEMPTS, tasks=["a"])
    with pytest.raises(ValueError, match="pool of 2 samples"):
        Pool.from_columns(task_key=["a", "a"], is_correct=[True], n_tokens=[1, 1], sum_logprob=[0, 0])


def test_bottom_logprob_is_the_mean_of_the_worst_tenth_of_the_windows():
    assert bottom_logprob([]) is None
    assert bottom_logprob([-1.0, -2.0]) == -1.5
    # 21 windows of 2 tokens; the worst two hold one or two of the bad tokens.
    logprobs = [0.0] * 10 + [-4.0, -6.0] + [0.0] * 10
    assert bottom_logprob(logprobs, window=2) == pytest.approx((-5.0 - 3.0) / 2)
