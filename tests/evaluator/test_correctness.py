"""Comparing outputs: tolerances, special values, and that nothing is changed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluator import correctness
from assay.evaluator.correctness import Tolerance, error_between, floor, mismatch, same_bits
from assay.evaluator.kernelbench_mode import published_mismatch


def test_errors_by_hand():
    expected = torch.tensor([3.0, 4.0], dtype=torch.float64)
    found = error_between(torch.tensor([3.0, 5.0]), expected)
    scale = math.sqrt(12.5)
    assert found is not None
    assert found.rms == pytest.approx(math.sqrt(0.5) / scale)
    assert found.peak == pytest.approx(1 / (4 + scale))


def test_a_zero_output_is_compared_absolutely():
    found = error_between(torch.tensor([0.5, 0.0]), torch.zeros(2))
    assert found is not None and found.rms == pytest.approx(math.sqrt(0.125))


def test_neither_side_is_changed():
    actual, expected = torch.randn(5), torch.randn(5, dtype=torch.float64)
    before = actual.clone(), expected.clone()
    error_between(actual, expected)
    assert torch.equal(actual, before[0]) and torch.equal(expected, before[1])


@given(st.lists(st.sampled_from([0.0, 1.0, math.nan, math.inf, -math.inf]), min_size=1, max_size=6))
def test_special_values_must_stand_at_the_same_places(values: list[float]):
    expected = torch.tensor(values)
    assert error_between(expected.clone(), expected) == Tolerance(0.0, 0.0)
    if any(not math.isfinite(value) for value in values):
        assert error_between(torch.nan_to_num(expected), expected) is None
        assert error_between(-expected, expected) is None or all(math.isnan(v) or math.isfinite(v) for v in values)


def test_float32_rounding_passes_and_half_precision_does_not():
    a, b = torch.randn(256, 256), torch.randn(256, 256)
    exact = a.double() @ b.double()
    assert mismatch([a @ b], [exact], [None]) is None
    assert mismatch([(a.bfloat16() @ b.bfloat16()).float()], [exact], [None]) is not None
    assert mismatch([(a.half().float() @ b.half().float())], [exact], [None]) is not None


def test_the_references_own_error_widens_the_tolerance():
    expected = torch.ones(8, dtype=torch.float64)
    actual = expected.float() * (1 + 1e-4)
    assert mismatch([actual], [expected], [None]) is not None
    assert mismatch([actual], [expected], [Tolerance(1e-4, 1e-4)]) is None


def test_integers_are_exact():
    assert floor(torch.int64) == Tolerance(0.0, 0.0)
    assert mismatch([torch.tensor([1, 2])], [torch.tensor([1, 3])], [None]) is not None


def test_an_empty_output_equals_an_empty_output():
    assert mismatch([torch.empty(0)], [torch.empty(0)], [None]) is None


def test_same_bits_knows_nan():
    values = torch.tensor([1.0, math.nan])
    assert same_bits(values, values.clone())
    assert not same_bits(values, torch.tensor([math.nan, 1.0]))


def test_tensors_of_several_chunks_are_compared_whole(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(correctness, "_CHUNK", 4)
    one = torch.arange(11.0)
    other = one.clone()
    other[-1] = torch.nan
    nan = one.clone()
    nan[-1] = torch.nan
    assert same_bits(one, one.clone()) and same_bits(other, nan)
    assert not same_bits(one, other) and not same_bits(one, one[:-1])
    assert published_mismatch([one], [one.clone()]) is None
    assert published_mismatch([one + 0.5 * (one == 10)], [one]) == (
        "output 0: differs by up to 5.00e-01; allowed 0.0001 + 0.0001 |expected|"
    )
