"""What is sent to a server gives, with the server's own reduction, the gradient of the summed loss."""

import math
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from assay.core.errors import NotFiniteError, UsageError
from assay.core.protocols import LossName, TrainItem
from assay.core.records import Prompt
from assay.learning.losses import LOSSES
from assay.policies.tinker_data import Reduction, Request, check_items, request, summed

PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="x")


def item(length: int, seed: int = 0, mask: tuple[float, ...] | None = None) -> TrainItem:
    rng = random.Random(seed)
    return TrainItem(
        prompt=PROMPT,
        tokens=tuple(rng.randrange(50) for _ in range(length)),
        behaviour_logprobs=tuple(-rng.random() * 2 for _ in range(length)),
        advantages=tuple(rng.uniform(-2, 2) for _ in range(length)),
        mask=mask or (1.0,) * length,
    )


ITEMS = [item(5, 1), item(2, 2), item(7, 3, mask=(1.0, 0.0, 1.0, 0.5, 0.0, 1.0, 1.0))]
PROMPTS = [(1, 2, 3), (4,), (5, 6, 7, 8, 9, 10, 11, 12)]


def token_losses(sent: Request, theta: list[Tensor]) -> list[Tensor]:
    """The losses of a server, a token; as the hosted service documents them, and as SkyRL 0.3.0 computes them."""
    out = []
    for row, theta_L in zip(sent.rows, theta, strict=True):
        field = {name: torch.tensor(values, dtype=torch.float64) for name, values in row.fields.items()}
        if sent.loss == "cross_entropy":
            out.append(-field["weights"] * theta_L)
            continue
        rho = torch.exp(theta_L - field["logprobs"])
        clipped = rho.clamp(*sent.config.values()) if sent.config else rho
        value = {
            "importance_sampling": rho * field["advantages"],
            "ppo": torch.minimum(rho * field["advantages"], clipped * field["advantages"]),
            "cispo": clipped.detach() * theta_L * field["advantages"],
        }[sent.loss]
        out.append(-value * field["weights"] if "weights" in field else -value)
    return out


def server_loss(sent: Request, theta: list[Tensor], reduction: Reduction) -> Tensor:
    losses = token_losses(sent, theta)
    if reduction == "sum":
        return torch.stack([loss.sum() for loss in losses]).sum()
    means = [loss.sum() / max(sum(row.fields["weights"]), 1e-9) for loss, row in zip(losses, sent.rows, strict=True)]
    return torch.stack(means).sum() / len(means)


def drawn_theta() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    lengths = [len(prompt) + len(one.tokens) - 1 for prompt, one in zip(PROMPTS, ITEMS, strict=True)]
    return [(-2 * torch.rand(length, generator=generator, dtype=torch.float64)).requires_grad_() for length in lengths]


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("loss", list(LOSSES))
def test_the_server_s_gradient_is_that_of_the_summed_loss(loss: LossName, reduction: Reduction) -> None:
    theta = drawn_theta()
    server_loss(request(ITEMS, PROMPTS, loss, reduction), theta, reduction).backward()
    found = [one.grad for one in theta]
    wanted = drawn_theta()
    columns = [
        torch.tensor([value for one in ITEMS for value in column(one)], dtype=torch.float64)
        for column in (lambda o: o.behaviour_logprobs, lambda o: o.advantages, lambda o: o.mask)
    ]
    completion = torch.cat([lps[-len(one.tokens) :] for lps, one in zip(wanted, ITEMS, strict=True)])
    LOSSES[loss](completion, *columns).backward()
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine is not None and theirs.grad is not None
        assert torch.allclose(mine, theirs.grad, rtol=1e-12, atol=1e-12)


def test_rows_are_shifted_by_one_and_nothing_of_the_prompt_is_learned() -> None:
    one = replace(item(2), tokens=(7, 8), advantages=(1.0, 2.0), behaviour_logprobs=(-0.5, -0.25))
    (row,) = request([one], [(1, 2, 3)], "importance_sampling", "sum").rows
    assert row.inputs == [1, 2, 3, 7]
    assert row.fields == {
        "target_tokens": [2, 3, 7, 8],
        "logprobs": [0, 0, -0.5, -0.25],
        "advantages": [0, 0, 1.0, 2.0],
    }


def test_a_server_of_means_gets_weights_on_the_completion_only_and_advantages_to_match() -> None:
    one = replace(item(2), tokens=(7, 8), advantages=(1.0, 2.0), behaviour_logprobs=(-0.5, -0.25))
    first, _ = request([one, item(3)], [(1, 2, 3), (1,)], "importance_sampling", "mean").rows
    assert first.fields["weights"] == [0, 0, 1, 1]
    assert first.fields["advantages"] == [0, 0, 1.0 * 2 * 2, 2.0 * 2 * 2]  # two tokens, two sequences


def test_the_hosted_service_gets_no_weights_with_a_policy_loss_and_no_advantages_with_cross_entropy() -> None:
    for loss in ("importance_sampling", "ppo", "cispo"):
        assert set(request([item(3)], [(1,)], loss, "sum").rows[0].fields) == {
            "target_tokens",
            "logprobs",
            "advantages",
        }
    sent = request([item(3)], [(1,)], "cross_entropy", "sum")
    assert (sent.loss, sent.config, set(sent.rows[0].fields)) == ("cross_entropy", None, {"target_tokens", "weights"})


def test_clips_are_sent_and_do_not_depend_on_a_server_s_defaults() -> None:
    for loss in ("ppo", "cispo"):
        assert request([item(3)], [(1,)], loss, "sum").config == {"clip_low_threshold": 0.8, "clip_high_threshold": 1.2}


def test_the_report_is_about_the_completion_and_the_unmasked_tokens() -> None:
    one = replace(item(2, mask=(1.0, 0.0)), behaviour_logprobs=(-1.0, -9.0), advantages=(2.0, 5.0))
    loss, kl, tokens = summed([one], [[-7.0, -7.0, -1.5, -3.0]], "importance_sampling")
    assert loss == pytest.approx(-2.0 * math.exp(-0.5))
    assert (kl, tokens) == (0.5, 1)


def test_what_cannot_be_learned_from_is_not_sent() -> None:
    with pytest.raises(UsageError, match="use one of importance_sampling"):
        check_items([item(2)], "dro")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no token"):
        check_items([], "ppo")
    with pytest.raises(UsageError, match="no token"):
        check_items([item(2, mask=(0.0, 0.0))], "ppo")
    with pytest.raises(UsageError, match="lengths"):
        check_items([replace(item(2), advantages=(1.0,))], "ppo")
    with pytest.raises(NotFiniteError, match="nothing was sent"):
        check_items([replace(item(2), advantages=(1.0, math.inf))], "ppo")
