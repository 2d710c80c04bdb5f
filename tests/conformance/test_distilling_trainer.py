"""A trainer that distills: its divergence has a true gradient, and a moving average of its weights is kept."""

import asyncio
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from assay.core.errors import UsageError
from assay.core.protocols import AdamConfig, DistillItem, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies.gradients import divergence_loss
from assay.policies.local import LocalPolicy, load_local
from assay.policies.trainer import LocalTrainer

LORA = LoraConfig(rank=4, alpha=8)
ADAM = AdamConfig(learning_rate=1e-2, max_grad_norm=None)
VOCABULARY = 340


@pytest.fixture(params=["llama", "mistral"])
def policy(request, tiny_folders: dict[str, Path]) -> LocalPolicy:
    return load_local(f"local:{tiny_folders[request.param]}", threads=1)


def prompt(text: str = "def forward(self, x):\n    return") -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text)


def items_of(policy: LocalPolicy, teacher: Prompt, topk: int, n: int = 3) -> list[DistillItem]:
    """Completions of the plain prompt, with what the base model says of them after the teacher's."""

    async def made():
        base = policy.base()
        draw = await base.sample(prompt(), n, SamplingParams(temperature=1.0, max_tokens=8))
        items = []
        for one in draw.completions:
            scored = await base.score(teacher, one.tokens, topk=topk)
            items.append(DistillItem(prompt(), one.tokens, one.logprobs, scored.topk, (1.0,) * len(one.tokens)))
        return items

    return asyncio.run(made())


def weights_of(trainer: LocalTrainer) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in trainer._parameters.items()}


TEACHER = prompt("# Correctly solve the original question.\ndef forward(self, x):\n    return")


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_steps_bring_the_student_nearer_to_its_teacher(policy, alpha):
    items = items_of(policy, TEACHER, topk=10)

    async def losses():
        trainer = await policy.trainer(LORA)
        return [(await trainer.distill(items, alpha, ADAM)).loss for _ in range(12)]

    found = asyncio.run(losses())
    assert found[-1] < 0.7 * found[0] and all(loss > 0 for loss in found)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_the_loss_falls_by_what_the_gradient_promises(policy, alpha):
    """The derivative along the gradient, by finite differences through all of the model, is its squared norm."""
    items = items_of(policy, TEACHER, topk=10)

    async def loss_at(trainer, weights):
        with torch.no_grad():
            for key, parameter in trainer._parameters.items():
                parameter.copy_(weights[key])
        # A step of almost no size gives the loss where the weights are.
        return (await trainer.distill(items, alpha, AdamConfig(learning_rate=1e-30, max_grad_norm=None))).loss

    async def checked():
        trainer = await policy.trainer(LORA)
        await trainer.distill(items, alpha, ADAM)
        start = weights_of(trainer)
        gradient = {}

        def compute(check):
            with trainer._accumulated(items, partial(divergence_loss, alpha), check):
                gradient.update({k: p.grad.clone() for k, p in trainer._parameters.items() if p.grad is not None})

        await trainer._team.run(compute)
        squared = sum(float((g.double() ** 2).sum()) for g in gradient.values())
        size = 1e-2 / squared**0.5
        ends = []
        for sign in (-1, 1):
            moved = {k: start[k] + sign * size * gradient.get(k, torch.zeros(())) for k in start}
            ends.append(await loss_at(trainer, moved))
        return (ends[1] - ends[0]) / (2 * size), squared

    slope, squared = asyncio.run(checked())
    assert slope == pytest.approx(squared, rel=0.03)


def test_a_teacher_that_is_the_student_itself_teaches_nothing(policy):
    items = items_of(policy, prompt(), topk=VOCABULARY)

    async def report():
        return await (await policy.trainer(LORA)).distill(items, 0.0, ADAM)

    found = asyncio.run(report())
    assert found.loss == pytest.approx(0, abs=2e-4) and found.grad_norm < 2e-3 and abs(found.kl) < 1e-4


def test_masked_places_are_left_out(policy):
    items = items_of(policy, TEACHER, topk=5)
    masked = [replace(items[0], mask=(0.0,) * len(items[0].tokens)), *items[1:]]

    async def loss(of):
        return (await (await policy.trainer(LORA)).distill(of, 0.5, ADAM)).loss

    assert asyncio.run(loss(masked)) == pytest.approx(asyncio.run(loss(items[1:])), rel=1e-4)


def test_items_that_do_not_fit_are_refused(policy):
    items = items_of(policy, TEACHER, topk=5)
    trainer = asyncio.run(policy.trainer(LORA))
    first = items[0]
    for broken in (replace(first, targets=first.targets[:-1]), replace(first, targets=((),) * len(first.tokens))):
        with pytest.raises(UsageError, match="equally many targets"):
            asyncio.run(trainer.distill([broken], 0.5, ADAM))


def test_the_average_follows_the_weights_and_is_saved(policy, tmp_path):
    async def run():
        trainer = await policy.trainer(LORA)
        assert (await trainer.averaged("teacher")).id == (await trainer.snapshot("now")).id
        draw = await policy.base().sample(prompt(), 2, SamplingParams(temperature=1.0, max_tokens=6))
        items = [
            TrainItem(prompt(), c.tokens, c.logprobs, (a,) * len(c.tokens), (1.0,) * len(c.tokens))
            for c, a in zip(draw.completions, (1.0, -1.0), strict=True)
        ]
        seen = []
        for _ in range(3):
            await trainer.step(items, "importance_sampling", ADAM)
            await trainer.average(0.25)
            seen.append(weights_of(trainer))
        key = next(key for key in seen[0] if "lora_B" in key)
        by_hand = 0.75 * (0.75 * seen[0][key] + 0.25 * seen[1][key]) + 0.25 * seen[2][key]
        assert torch.allclose(trainer._average[key], by_hand, atol=1e-7)
        teacher = await trainer.averaged("teacher")
        assert teacher.id != (await trainer.snapshot("now")).id
        await trainer.save(tmp_path / "saved")
        again = await policy.trainer(LORA, tmp_path / "saved")
        assert (await again.averaged("teacher")).id == teacher.id
        await trainer.average(1.0)
        assert (await trainer.averaged("teacher")).id == (await trainer.snapshot("now")).id

    asyncio.run(run())


def test_a_score_says_how_long_its_prompt_was(policy):
    async def scored():
        draw = await policy.base().sample(prompt(), 1, SamplingParams(max_tokens=4))
        return draw.prompt_tokens, await policy.base().score(prompt(), draw.completions[0].tokens)

    length, found = asyncio.run(scored())
    assert found.prompt_tokens == length
