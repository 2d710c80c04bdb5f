import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from assay.learning.losses import LOSSES, cispo, cross_entropy, importance_sampling, ppo

LOG2 = 0.6931471805599453


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gradient(loss, theta, behaviour, advantages, mask) -> list[float]:
    theta = theta.clone().requires_grad_()
    loss(theta, behaviour, advantages, mask).backward()
    return theta.grad.tolist()


def test_importance_sampling_by_hand() -> None:
    theta, behaviour = column(-1.0, -1.0 + LOG2), column(-1.0, -1.0)  # rho = 1, 2
    assert importance_sampling(theta, behaviour, column(3, -1), column(1, 1)).item() == pytest.approx(-3 + 2)
    assert gradient(importance_sampling, theta, behaviour, column(3, -1), column(1, 1)) == pytest.approx([-3, 2])


def test_ppo_clips_gains_and_never_losses() -> None:
    theta = column(LOG2, LOG2, -LOG2, -LOG2)  # rho = 2, 2, 1/2, 1/2
    advantages = column(1, -1, 1, -1)
    assert ppo(theta, column(0, 0, 0, 0), advantages, column(1, 1, 1, 1)).item() == pytest.approx(-1.2 + 2 - 0.5 + 0.8)
    assert gradient(ppo, theta, column(0, 0, 0, 0), advantages, column(1, 1, 1, 1)) == pytest.approx([0, 2, -0.5, 0])


def test_cispo_clips_the_weight_and_keeps_every_gradient() -> None:
    theta = column(LOG2, -LOG2)
    assert gradient(cispo, theta, column(0, 0), column(1, 1), column(1, 1)) == pytest.approx([-1.2, -0.8])
    assert cispo(theta, column(0, 0), column(1, 1), column(1, 1)).item() == pytest.approx(-1.2 * LOG2 + 0.8 * LOG2)


def test_cross_entropy_weighs_logprobs_and_ignores_the_behaviour() -> None:
    args = (column(-1, -2), column(5, 5), column(1, 0.5), column(1, 1))
    assert cross_entropy(*args).item() == pytest.approx(2.0)
    assert gradient(cross_entropy, *args) == pytest.approx([-1, -0.5])


@pytest.mark.parametrize("name", list(LOSSES))
def test_masked_tokens_add_neither_loss_nor_gradient(name) -> None:
    loss = LOSSES[name]
    args = (column(-1, -3), column(-1, -2), column(2, 5), column(1, 0))
    alone = loss(column(-1), column(-1), column(2), column(1))
    assert loss(*args).item() == pytest.approx(alone.item())
    assert gradient(loss, *args)[1] == 0


@pytest.mark.parametrize("name", list(LOSSES))
@given(st.lists(st.tuples(st.floats(-8, 0), st.floats(-3, 3)), min_size=1, max_size=6), st.floats(0.1, 4))
@settings(max_examples=30, deadline=None)
def test_on_policy_every_gradient_is_minus_the_advantage_and_scales_with_it(name, rows, factor) -> None:
    lp, advantages = column(*(row[0] for row in rows)), column(*(row[1] for row in rows))
    ones = torch.ones_like(lp)
    once = gradient(LOSSES[name], lp, lp, advantages, ones)
    assert once == pytest.approx((-advantages).tolist())
    assert gradient(LOSSES[name], lp, lp, -factor * advantages, ones) == pytest.approx([-factor * g for g in once])


@pytest.mark.parametrize("name", list(LOSSES))
def test_no_tokens_give_zero(name) -> None:
    assert LOSSES[name](column(), column(), column(), column()).item() == 0
