import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from hypothesis.extra import numpy as hypothesis_numpy

from assay.policies.drawing import BLOCK, draw_tokens


def grid(count: int) -> torch.Tensor:
    """Midpoints of `count` equal parts of [0, 1): an exact draw gives each token its share, to one part."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def shares(logits_V: torch.Tensor, temperature: float, top_p: float, count: int = 2000) -> torch.Tensor:
    rows = logits_V.expand(count, -1).clone()
    tokens, _ = draw_tokens(rows, grid(count), temperature, top_p)
    return torch.bincount(tokens, minlength=len(logits_V)) / count


def plain_nucleus(logits_V: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """The definition, with a full sort."""
    p = torch.softmax(logits_V.double() / temperature, dim=-1)
    order = p.argsort(descending=True)
    before = p[order].cumsum(0) - p[order]
    kept = torch.zeros_like(p)
    kept[order] = torch.where(before < top_p, p[order], 0.0)
    return kept / kept.sum()


@pytest.mark.parametrize("vocabulary", [1, 2, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 1700])
@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
def test_each_token_is_drawn_as_often_as_its_tempered_probability_says(vocabulary: int, temperature: float) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(vocabulary)) * 3
    expected = torch.softmax(logits.double() / temperature, dim=-1)
    assert (shares(logits, temperature, 1.0) - expected).abs().max() <= 1.01 / 2000


@pytest.mark.parametrize("vocabulary", [3, 100, 1700])
@pytest.mark.parametrize("top_p", [0.01, 0.5, 0.9, 0.999])
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(vocabulary: int, top_p: float) -> None:
    logits = torch.randn(vocabulary, generator=torch.Generator().manual_seed(7))
    expected = plain_nucleus(logits, 0.8, top_p)
    assert (shares(logits, 0.8, top_p) - expected).abs().max() <= 1.01 / 2000


def test_logprobs_are_raw_whatever_the_temperature_and_nucleus() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    expected = torch.log_softmax(logits, dim=-1)[0]
    for temperature, top_p in [(0.0, 1.0), (0.3, 1.0), (1.0, 1.0), (1.0, 0.5), (2.0, 0.9)]:
        token, logprob = draw_tokens(logits.clone(), torch.tensor([0.4], dtype=torch.float64), temperature, top_p)
        assert logprob.dtype == torch.float32
        assert logprob.item() == pytest.approx(expected[token].item(), abs=1e-6)


def test_drawing_leaves_the_logits_as_they_were() -> None:
    logits = torch.randn(3, 600)
    before = logits.clone()
    draw_tokens(logits, torch.rand(3, dtype=torch.float64), 0.7, 0.9)
    assert torch.equal(logits, before)


@given(
    hypothesis_numpy.arrays("float32", 900, elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from([0.0, 0.5, 1 - 2**-53]),
    st.sampled_from([0.05, 1.0, 5.0]),
    st.sampled_from([1e-6, 0.9, 1.0]),
)
@settings(max_examples=60, deadline=None)
def test_a_token_without_probability_is_never_drawn(values, uniform, temperature, top_p) -> None:
    logits = torch.from_numpy(values)[None].clone()
    logits[0, ::3] = -torch.inf
    token, logprob = draw_tokens(logits, torch.tensor([uniform], dtype=torch.float64), temperature, top_p)
    tempered = torch.exp((logits[0] - logits.max()) / temperature)
    assert tempered[token] > 0
    assert torch.isfinite(logprob).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (0.0, 1.0)])
@pytest.mark.parametrize("vocabulary", [5, 1700])
def test_a_row_without_finite_logits_gets_no_number_and_leaves_the_others_alone(
    bad: float, temperature: float, top_p: float, vocabulary: int
) -> None:
    logits = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(1))
    uniforms = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    expected = draw_tokens(logits, uniforms, temperature, top_p)
    logits[1, 4] = bad
    tokens, logprobs = draw_tokens(logits, uniforms, temperature, top_p)
    assert logprobs.isnan().tolist() == [False, True, False]
    assert tokens[[0, 2]].tolist() == expected[0][[0, 2]].tolist()
    assert 0 <= tokens[1] < vocabulary
