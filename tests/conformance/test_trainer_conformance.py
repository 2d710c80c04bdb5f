"""What every trainer must do: gradients that follow the advantages, snapshots that stay, and a save that goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from tiny_models import save_tiny
from torch import Tensor

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import AdamConfig, LoraConfig, LossName, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.learning.losses import LOSSES
from assay.policies import chosen_logprobs
from assay.policies.local import LocalPolicy, load_local
from assay.policies.sampler import LocalSampler
from assay.policies.trainer import LocalTrainer
from assay.policies.weights import load_weights

FAMILIES = ["llama", "qwen2", "mistral"]
LOSS_NAMES = get_args(LossName)
FAST = AdamConfig(learning_rate=1e-2)
LORA = LoraConfig(rank=4, alpha=8)


@pytest.fixture(params=FAMILIES)
def policy(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> LocalPolicy:
    return load_local(f"local:{tiny_folders[request.param]}")


def prompt(text: str = "def forward(self, x):\n    return", key: str = "t/1") -> Prompt:
    return Prompt(task_key=key, format="body", kind="completion", text=text)


def items_of(sampler: LocalSampler, what: Prompt, advantages: list[float]) -> list[TrainItem]:
    draw = asyncio.run(sampler.sample(what, len(advantages), SamplingParams(temperature=1.0, max_tokens=12)))
    return [
        TrainItem(
            prompt=what,
            tokens=c.tokens,
            behaviour_logprobs=c.logprobs,
            advantages=(advantage,) * len(c.tokens),
            mask=(1.0,) * len(c.tokens),
        )
        for c, advantage in zip(draw.completions, advantages, strict=True)
    ]


def scaled(items: list[TrainItem], factor: float) -> list[TrainItem]:
    return [replace(item, advantages=tuple(factor * a for a in item.advantages)) for item in items]


def new_trainer(policy: LocalPolicy, warm: bool = True) -> LocalTrainer:
    """A trainer; after one step (warm) all its matrices have a gradient, since B is no longer zero."""
    trainer = asyncio.run(policy.trainer(LORA))
    if warm:
        asyncio.run(trainer.step(items_of(policy.base(), prompt("warm"), [1.0, -1.0]), "cross_entropy", FAST))
    return trainer


def gradient(trainer: LocalTrainer, items: list[TrainItem], loss: LossName = "importance_sampling") -> Tensor:
    parts = asyncio.run(trainer.gradient(items, loss))
    return torch.cat([parts[key].flatten() for key in sorted(parts)])


def scores(sampler: LocalSampler, items: list[TrainItem]) -> list[float]:
    return [lp for item in items for lp in asyncio.run(sampler.score(item.prompt, item.tokens)).logprobs]


def test_an_untouched_adapter_is_the_base_model_with_its_id(policy: LocalPolicy) -> None:
    trainer = new_trainer(policy, warm=False)
    snapshot = asyncio.run(trainer.snapshot("step0"))
    items = items_of(policy.base(), prompt(), [1.0, 1.0])
    assert snapshot.id == policy.base().id
    assert scores(snapshot, items) == pytest.approx(scores(policy.base(), items), abs=1e-5)


@pytest.mark.parametrize("loss", LOSS_NAMES)
def test_a_negated_advantage_flips_the_gradient_and_a_doubled_one_doubles_it(
    policy: LocalPolicy, loss: LossName
) -> None:
    trainer = new_trainer(policy)
    snapshot = asyncio.run(trainer.snapshot("now"))
    items = items_of(snapshot, prompt(), [1.0, -0.5, 2.0])  # on-policy, so that no ratio is clipped
    once = gradient(trainer, items, loss)
    assert once.norm() > 0
    assert torch.allclose(gradient(trainer, scaled(items, -1), loss), -once, rtol=1e-3, atol=1e-4 * float(once.norm()))
    assert torch.allclose(
        gradient(trainer, scaled(items, 2), loss), 2 * once, rtol=1e-3, atol=1e-4 * float(once.norm())
    )


def test_the_loss_is_a_sum_over_completion_tokens_whatever_the_prompt_length(policy: LocalPolicy) -> None:
    for text in ("x", "def forward(self, x):\n" * 8):
        trainer = new_trainer(policy)
        items = items_of(asyncio.run(trainer.snapshot("now")), prompt(text), [1.5, -0.25])
        report = asyncio.run(trainer.step(items, "importance_sampling", FAST))
        assert report.loss == pytest.approx(-sum(a for item in items for a in item.advantages), abs=1e-2)
        assert report.tokens == sum(len(item.tokens) for item in items)
        assert report.kl == pytest.approx(0, abs=1e-4)


def test_packing_changes_no_gradient(policy: LocalPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = new_trainer(policy)
    other = prompt("class Model(nn.Module):", key="t/2")
    items = items_of(policy.base(), prompt(), [1.0, -2.0, 0.5]) + items_of(policy.base(), other, [1.0, 1.0])
    together = gradient(trainer, items)
    monkeypatch.setattr(trainer._passes[0].budget, "tokens", 1)
    one_by_one = gradient(trainer, items)
    assert torch.allclose(together, one_by_one, rtol=1e-3, atol=1e-4 * float(together.norm()))
    separately = sum((gradient(trainer, [item]) for item in items), torch.zeros_like(together))
    assert torch.allclose(together, separately, rtol=1e-3, atol=1e-4 * float(together.norm()))


def test_logits_in_parts_change_no_gradient(policy: LocalPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = new_trainer(policy)
    items = items_of(policy.base(), prompt(), [1.0, -2.0, 0.5])
    whole = gradient(trainer, items)
    monkeypatch.setattr(chosen_logprobs, "CHUNK", 5)
    assert torch.allclose(gradient(trainer, items), whole, rtol=1e-3, atol=1e-4 * float(whole.norm()))


def test_a_step_that_runs_out_of_memory_begins_again_with_smaller_packs(
    policy: LocalPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = new_trainer(policy)
    items = items_of(policy.base(), prompt(), [1.0, -2.0, 0.5])
    longest = max(len(item.tokens) for item in items)
    expected, plain = gradient(trainer, items), LOSSES["importance_sampling"]
    sizes: list[int] = []

    def scarce(room: int) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        def loss(lp_theta: Tensor, lp_behaviour: Tensor, advantages: Tensor, mask: Tensor) -> Tensor:
            sizes.append(len(lp_theta))
            if len(lp_theta) > room or len(sizes) == 2:  # the second pack fails after the first left its gradient
                raise torch.cuda.OutOfMemoryError
            return plain(lp_theta, lp_behaviour, advantages, mask)

        return loss

    monkeypatch.setitem(LOSSES, "importance_sampling", scarce(longest))
    assert torch.allclose(gradient(trainer, items), expected, rtol=1e-3, atol=1e-4 * float(expected.norm()))
    assert sum(sizes[-len(items) :]) == sum(len(item.tokens) for item in items)
    monkeypatch.setitem(LOSSES, "importance_sampling", scarce(0))
    with pytest.raises(PolicyError, match="more memory"):
        gradient(trainer, items)


def test_a_bfloat16_model_gives_float32_gradients_near_those_of_float32(tiny_folders: dict[str, Path]) -> None:
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        loaded = load_weights(f"local:{tiny_folders['qwen2']}")
        torch.nn.Module.to(loaded.model, dtype)
        trainer = new_trainer(LocalPolicy(loaded), warm=False)
        item = TrainItem(prompt(), (5, 9, 40, 41, 7), (-3.0,) * 5, (1.0,) * 5, (1.0,) * 5)
        found.append(gradient(trainer, [item], "cross_entropy"))
    assert found[1].dtype == torch.float32
    assert torch.cosine_similarity(found[0], found[1], dim=0) > 0.99


def test_masked_tokens_play_no_part(policy: LocalPolicy) -> None:
    trainer = new_trainer(policy)
    (item,) = items_of(policy.base(), prompt(), [1.0])
    half = len(item.tokens) // 2 or 1
    mask = (1.0,) * half + (0.0,) * (len(item.tokens) - half)
    cut = TrainItem(
        item.prompt, item.tokens[:half], item.behaviour_logprobs[:half], item.advantages[:half], mask[:half]
    )
    masked = gradient(trainer, [replace(item, mask=mask)])
    assert torch.allclose(masked, gradient(trainer, [cut]), rtol=1e-3, atol=1e-4 * float(masked.norm()))


def test_a_step_makes_what_was_rewarded_more_likely(policy: LocalPolicy) -> None:
    trainer = new_trainer(policy, warm=False)
    items = items_of(policy.base(), prompt(), [1.0])
    before = sum(scores(policy.base(), items))
    for _ in range(3):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    assert sum(scores(asyncio.run(trainer.snapshot("after")), items)) > before + 0.1


def test_snapshots_and_the_base_do_not_change_while_training_goes_on(policy: LocalPolicy) -> None:
    items = items_of(policy.base(), prompt(), [1.0, -1.0])
    base_before = scores(policy.base(), items)
    trainer = new_trainer(policy)
    snapshot = asyncio.run(trainer.snapshot("step1"))
    before, params = scores(snapshot, items), SamplingParams(max_tokens=8, seed=1)
    drawn = asyncio.run(snapshot.sample(prompt("y"), 4, params))
    for _ in range(3):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    later = asyncio.run(trainer.snapshot("step4"))
    assert scores(snapshot, items) == before
    assert scores(policy.base(), items) == pytest.approx(base_before, abs=1e-5)
    snapshot.forget()
    assert asyncio.run(snapshot.sample(prompt("y"), 4, params)) == drawn
    assert len({policy.base().id, snapshot.id, later.id}) == 3
    assert max(abs(a - b) for a, b in zip(scores(later, items), before, strict=True)) > 1e-3


def test_two_trainers_do_not_touch_each_other(policy: LocalPolicy) -> None:
    items = items_of(policy.base(), prompt(), [1.0, -1.0])
    first = new_trainer(policy)
    before = scores(asyncio.run(first.snapshot("a")), items)
    new_trainer(policy)
    assert scores(asyncio.run(first.snapshot("a")), items) == pytest.approx(before, abs=1e-6)


def test_the_sampler_of_a_snapshot_agrees_with_its_scorer(policy: LocalPolicy) -> None:
    snapshot = asyncio.run(new_trainer(policy).snapshot("now"))
    draw = asyncio.run(snapshot.sample(prompt(), 4, SamplingParams(temperature=0.5, max_tokens=12)))
    for completion in draw.completions:
        scored = asyncio.run(snapshot.score(prompt(), completion.tokens))
        assert scored.logprobs == pytest.approx(completion.logprobs, abs=2e-4)


def test_a_saved_trainer_goes_on_as_if_nothing_had_happened(policy: LocalPolicy, tmp_path: Path) -> None:
    items = items_of(policy.base(), prompt(), [1.0, -1.0])
    trainer = new_trainer(policy)
    asyncio.run(trainer.save(tmp_path / "adapters" / "step1"))
    saved = asyncio.run(trainer.snapshot("step1"))
    loaded = asyncio.run(policy.trainer(LORA, start=tmp_path / "adapters" / "step1"))
    again = asyncio.run(loaded.snapshot("step1"))
    assert again.id == saved.id
    assert scores(again, items) == pytest.approx(scores(saved, items), abs=1e-6)
    for either in (trainer, loaded):
        asyncio.run(either.step(items, "importance_sampling", FAST))
    assert asyncio.run(loaded.snapshot("x")).id == asyncio.run(trainer.snapshot("x")).id
    assert [p.name for p in (tmp_path / "adapters").iterdir()] == ["step1"]


def test_saving_again_replaces_what_was_saved(policy: LocalPolicy, tmp_path: Path) -> None:
    trainer = new_trainer(policy)
    for _ in range(2):
        asyncio.run(trainer.save(tmp_path / "a"))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "adapter.safetensors",
        "optimizer.safetensors",
        "trainer.json",
    ]


def test_a_trainer_of_another_model_or_shape_or_none_at_all_is_not_loaded(
    tiny_folders: dict[str, Path], tmp_path: Path
) -> None:
    policy = load_local(f"local:{tiny_folders['llama']}")
    asyncio.run(new_trainer(policy).save(tmp_path / "a"))
    with pytest.raises(UsageError, match="another rank"):
        asyncio.run(policy.trainer(LoraConfig(rank=2, alpha=8), start=tmp_path / "a"))
    other = load_local(f"local:{save_tiny(tmp_path / 'other', 'llama', seed=9)}")
    with pytest.raises(UsageError, match="another base"):
        asyncio.run(other.trainer(LORA, start=tmp_path / "a"))
    with pytest.raises(UsageError, match="holds no saved trainer"):
        asyncio.run(policy.trainer(LORA, start=tmp_path / "none"))


def test_the_seed_of_an_adapter_makes_it_reproducible(tiny_folders: dict[str, Path]) -> None:
    policy = load_local(f"local:{tiny_folders['llama']}")
    assert asyncio.run(new_trainer(policy).snapshot("a")).id == asyncio.run(new_trainer(policy).snapshot("b")).id


def test_a_gradient_that_is_not_finite_stops_and_leaves_the_weights(policy: LocalPolicy) -> None:
    trainer = new_trainer(policy)
    before = asyncio.run(trainer.snapshot("a")).id
    items = scaled(items_of(policy.base(), prompt(), [1.0]), float("inf"))
    with pytest.raises(PolicyError, match="not finite"):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    assert asyncio.run(trainer.snapshot("a")).id == before


def test_items_without_a_token_to_learn_from_are_a_usage_error(policy: LocalPolicy) -> None:
    trainer = new_trainer(policy, warm=False)
    (item,) = items_of(policy.base(), prompt(), [1.0])
    with pytest.raises(UsageError, match="no token"):
        asyncio.run(trainer.step([], "ppo", FAST))
    with pytest.raises(UsageError, match="no token"):
        asyncio.run(trainer.step([replace(item, mask=(0.0,) * len(item.mask))], "ppo", FAST))
    with pytest.raises(UsageError, match="lengths"):
        asyncio.run(trainer.step([replace(item, advantages=(1.0, 1.0) * 40)], "ppo", FAST))
