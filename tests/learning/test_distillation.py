import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.learning.distillation import sampled_advantages
from assay.learning.divergence import divergence
from assay.learning.shaping import kl_shaping

LOGITS = st.lists(st.floats(-4, 4, width=32), min_size=6, max_size=6)


def log_softmax(values) -> torch.Tensor:
    return torch.log_softmax(torch.tensor(values, dtype=torch.float32), dim=-1)[None]


def test_a_token_that_the_teacher_finds_likelier_is_credited():
    assert sampled_advantages([-1.0, -3.0], [-2.0, -1.0], beta=2.0).tolist() == [2.0, -4.0]
    assert sampled_advantages([], []).tolist() == []
    with pytest.raises(ValueError, match="2 log-probabilities of the teacher, and 1"):
        sampled_advantages([-1.0, -2.0], [-1.0])


def test_shaping_charges_what_drifts_more_than_the_batch():
    found = kl_shaping([[-1.0, -1.0], [-2.0]], [[-2.0, -1.0], [-4.0]], 0.1)  # gaps 1, 0 and 2, mean 1
    assert [one.tolist() for one in found] == [pytest.approx([0.0, 0.1]), pytest.approx([-0.1])]
    assert kl_shaping([], [], 0.1) == []
    with pytest.raises(ValueError, match="1 log-probabilities, and 0"):
        kl_shaping([[-1.0]], [[]], 0.1)


@given(st.lists(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), max_size=4), max_size=4), st.floats(0, 1))
def test_shaping_adds_up_to_nothing(rows, coefficient):
    found = kl_shaping([[a for a, _ in row] for row in rows], [[b for _, b in row] for row in rows], coefficient)
    assert sum(float(one.sum()) for one in found) == pytest.approx(0, abs=1e-9)
    assert [len(one) for one in found] == [len(row) for row in rows]


def by_hand(student: np.ndarray, teacher: np.ndarray, alpha: float) -> float:
    def kl(p: np.ndarray, q: np.ndarray) -> float:
        return float((p * np.log(p / q)).sum())

    if alpha in (0, 1):
        return kl(teacher, student) if alpha == 0 else kl(student, teacher)
    mixture = (1 - alpha) * student + alpha * teacher
    return (1 - alpha) * kl(student, mixture) + alpha * kl(teacher, mixture)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 0.2])
@given(LOGITS, LOGITS)
def test_with_the_tail_in_a_bucket_it_is_the_divergence_of_the_coarser_distributions(alpha, a, b):
    student, teacher = log_softmax(a), log_softmax(b)
    found = divergence(student[:, :3], teacher[:, :3], alpha).item()
    s, t = (one[0].exp().double().numpy() for one in (student, teacher))
    coarse_s, coarse_t = (np.append(one[:3], one[3:].sum()) for one in (s, t))
    assert found == pytest.approx(by_hand(coarse_s, coarse_t, alpha), abs=2e-4)
    assert found <= by_hand(s, t, alpha) + 2e-4 and found >= -1e-5
    if alpha == 0.5:
        assert found <= math.log(2) + 1e-5


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_equal_distributions_have_no_divergence_and_no_gradient(alpha):
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.1]], requires_grad=True)
    listed = torch.log_softmax(logits, -1)[:, :2]
    found = divergence(listed, listed.detach(), alpha)
    found.sum().backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert logits.grad is not None and logits.grad.abs().max() < 1e-6


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_gradient_is_that_of_finite_differences(alpha):
    start, teacher = torch.tensor([[0.3, -1.0, 2.0, 0.1]]), log_softmax([1.0, 0.0, 0.0, 2.0])[:, [3, 0]]

    def value(logits):
        return divergence(torch.log_softmax(logits, -1)[:, [3, 0]], teacher, alpha).sum()

    logits = start.clone().requires_grad_()
    value(logits).backward()
    assert logits.grad is not None
    for place in range(4):
        step = torch.zeros_like(start)
        step[0, place] = 1e-2
        assert logits.grad[0, place].item() == pytest.approx(
            ((value(start + step) - value(start - step)) / 2e-2).item(), abs=2e-3
        )


def test_a_place_with_fewer_tokens_ignores_the_empty_ones():
    student, teacher = log_softmax([0.0, 1.0, 2.0]), log_softmax([1.0, 0.0, 0.5])
    padded = torch.cat([teacher[:, :2], torch.tensor([[-torch.inf]])], dim=-1)
    assert divergence(student, padded, 0.5).item() == pytest.approx(
        divergence(student[:, :2], teacher[:, :2], 0.5).item()
    )


def test_alpha_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="alpha 2"):
        divergence(log_softmax([0.0]), log_softmax([0.0]), 2.0)
