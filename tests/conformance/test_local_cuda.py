"""The local policy on a real GPU: it draws what it scores, shares the prompt, and learns."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assay.core.protocols import AdamConfig, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.local import LocalPolicy, load_local
from assay.policies.weights import load_weights

pytestmark = pytest.mark.gpu

PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="import torch\nclass Model(nn.Module):\n")


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral"])
def test_what_is_drawn_on_a_gpu_is_scored_alike(tiny_folders: dict[str, Path], family: str):
    policy = load_local(f"local:{tiny_folders[family]}", device="cuda:0")
    sampler = policy.base()
    draw = asyncio.run(sampler.sample(PROMPT, 16, SamplingParams(temperature=0.5, max_tokens=24, seed=3)))
    again = asyncio.run(sampler.sample(PROMPT, 16, SamplingParams(temperature=0.5, max_tokens=24, seed=3)))
    assert [c.tokens for c in draw.completions] == [c.tokens for c in again.completions]
    for completion in draw.completions:
        scored = asyncio.run(sampler.score(PROMPT, completion.tokens))
        assert scored.logprobs == pytest.approx(completion.logprobs, abs=0.1)  # bfloat16


@pytest.mark.parametrize("params", [{}, {"temperature": 0.0}, {"top_p": 0.9}, {"max_tokens": 1}])
def test_captured_steps_draw_what_steps_launched_one_by_one_draw(
    tiny_folders: dict[str, Path], params: dict[str, float]
):
    captured = load_local(f"local:{tiny_folders['qwen3']}", device="cuda:0")
    loaded = load_weights(f"local:{tiny_folders['qwen3']}", "cuda:0")
    launched = LocalPolicy(replace(loaded, decoder=CapturedDecoder(loaded.model, capture=False)))
    assert captured._loaded.decoder is not None
    what = PROMPT.model_copy(update={"stop": ("e",)})
    settings = SamplingParams.model_validate({"max_tokens": 100, "temperature": 1.3, **params})
    for n in (1, 40, 7):
        first = asyncio.run(captured.base().sample(what, n, settings))
        assert first == asyncio.run(launched.base().sample(what, n, settings))


def test_a_step_on_a_gpu_makes_what_was_rewarded_more_likely(tiny_folders: dict[str, Path]):
    async def learn() -> tuple[float, float]:
        policy = load_local(f"local:{tiny_folders['qwen2']}", device="cuda:0")
        trainer = await policy.trainer(LoraConfig(rank=4))
        drawn = await policy.base().sample(PROMPT, 2, SamplingParams(max_tokens=16))
        good = drawn.completions[0]
        n = len(good.tokens)
        item = TrainItem(PROMPT, good.tokens, good.logprobs, (1.0,) * n, (1.0,) * n)
        for _ in range(5):
            await trainer.step([item], "importance_sampling", AdamConfig(learning_rate=1e-2))
        after = await (await trainer.snapshot("after")).score(PROMPT, good.tokens)
        return sum(good.logprobs), sum(after.logprobs)

    before, after = asyncio.run(learn())
    assert after > before


def two_gpus() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_two_gpus_draw_what_they_score_and_learn_with_equal_weights(tiny_folders: dict[str, Path], family: str):
    two_gpus()
    policy = load_local(f"local:{tiny_folders[family]}", device="cuda:0,cuda:1")
    assert policy.device == "cuda:0,cuda:1"
    params = SamplingParams(temperature=0.5, max_tokens=24, seed=3)
    draw = asyncio.run(policy.base().sample(PROMPT, 16, params))
    assert draw == asyncio.run(policy.base().sample(PROMPT, 16, params))
    trainer = asyncio.run(policy.trainer(LoraConfig(rank=4)))
    items = []
    for completion in draw.completions:
        scored = asyncio.run(policy.base().score(PROMPT, completion.tokens))
        assert scored.logprobs == pytest.approx(completion.logprobs, abs=0.1)  # bfloat16
        n = len(completion.tokens)
        items.append(TrainItem(PROMPT, completion.tokens, completion.logprobs, (1.0,) * n, (1.0,) * n))
    for _ in range(3):
        asyncio.run(trainer.step(items, "importance_sampling", AdamConfig(learning_rate=1e-2)))
    first, second = (passes.parameters for passes in trainer._passes)
    assert {p.device.index for p in first.values()} == {0} and {p.device.index for p in second.values()} == {1}
    assert all(torch.equal(first[key].cpu(), second[key].cpu()) for key in first)
    snapshot = asyncio.run(trainer.snapshot("after"))
    for completion in asyncio.run(snapshot.sample(PROMPT, 6, params)).completions:
        scored = asyncio.run(snapshot.score(PROMPT, completion.tokens))
        assert scored.logprobs == pytest.approx(completion.logprobs, abs=0.1)


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_a_model_spread_over_two_gpus_draws_scores_and_learns(tiny_folders: dict[str, Path], family: str):
    two_gpus()
    policy = load_local(f"local:{tiny_folders[family]}", device="cuda:0+cuda:1")
    assert policy.device == "cuda:0+cuda:1"
    assert policy._loaded.decoder is None
    params = SamplingParams(temperature=0.5, max_tokens=24, seed=3)
    draw = asyncio.run(policy.base().sample(PROMPT.model_copy(update={"stop": ("e",)}), 16, params))
    good = max(draw.completions, key=lambda completion: len(completion.tokens))
    scored = asyncio.run(policy.base().score(PROMPT, good.tokens))
    assert scored.logprobs == pytest.approx(good.logprobs, abs=0.1)
    trainer = asyncio.run(policy.trainer(LoraConfig(rank=4)))
    assert {p.device.index for p in trainer._parameters.values()} == {0, 1}
    n = len(good.tokens)
    item = TrainItem(PROMPT, good.tokens, good.logprobs, (1.0,) * n, (1.0,) * n)
    for _ in range(5):
        asyncio.run(trainer.step([item, item], "importance_sampling", AdamConfig(learning_rate=1e-2)))
    after = asyncio.run(asyncio.run(trainer.snapshot("after")).score(PROMPT, good.tokens))
    assert sum(after.logprobs) > sum(good.logprobs)
