"""The local policy on a real GPU: it draws what it scores, shares the prompt, and learns."""

import asyncio
from pathlib import Path

import pytest

from assay.core.protocols import AdamConfig, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies.local import load_local

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
