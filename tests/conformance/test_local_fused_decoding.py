"""The decoding loop of the GPU, run without capture on a CPU: every number is that of the plain loop."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.core.protocols import AdamConfig, LoraConfig, TrainItem
from assay.core.records import Completion, Prompt, SamplingParams, StopReason
from assay.policies import captured_decode
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.fused_step import can_fuse
from assay.policies.local import LocalPolicy, load_local
from assay.policies.text import Detokenizer
from assay.policies.weights import load_weights

TEXT = "class ModelNew(Model):\n    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        return"


def fused(folder: Path) -> LocalPolicy:
    loaded = load_weights(f"local:{folder}")
    return LocalPolicy(replace(loaded, decoder=CapturedDecoder(loaded.model, capture=False)))


@pytest.fixture(params=["llama", "qwen2", "qwen3"])
def both(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> tuple[LocalPolicy, LocalPolicy]:
    folder = tiny_folders[request.param]
    return fused(folder), load_local(f"local:{folder}")


def prompt(text: str = TEXT, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text, stop=stop)


def sample(sampler: Any, what: Prompt, n: int, **params: float) -> tuple[Completion, ...]:
    settings = SamplingParams.model_validate({"max_tokens": 80, **params})
    return asyncio.run(sampler.sample(what, n, settings)).completions


def assert_same(first: tuple[Completion, ...], second: tuple[Completion, ...]) -> None:
    assert [c.tokens for c in first] == [c.tokens for c in second]
    assert [c.text for c in first] == [c.text for c in second]
    assert [c.stop_reason for c in first] == [c.stop_reason for c in second]
    for one, other in zip(first, second, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@pytest.mark.parametrize(
    "params",
    [{"temperature": 1.3}, {"temperature": 0}, {"temperature": 1.5, "top_p": 0.9}, {"max_tokens": 1}],
)
def test_draws_equal_those_of_the_plain_loop_while_rows_finish(
    both: tuple[LocalPolicy, LocalPolicy], params: dict[str, float]
) -> None:
    for n in (1, 3, 19):
        what = prompt(stop=("e", "\n"))
        assert_same(*(sample(policy.base(), what, n, **params) for policy in both))


def test_one_policy_serves_longer_prompts_and_more_rows_after_shorter_ones(
    both: tuple[LocalPolicy, LocalPolicy],
) -> None:
    for text, n, tokens in [("x", 2, 5), (TEXT, 9, 90), ("y", 1, 120), (TEXT * 2, 33, 30)]:
        assert_same(*(sample(policy.base(), prompt(text), n, max_tokens=tokens) for policy in both))


def test_rows_are_dropped_in_blocks_of_any_length(
    both: tuple[LocalPolicy, LocalPolicy], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sample(both[1].base(), prompt(stop=("e",)), 12, temperature=1.3)
    for steps in (1, 3, 200):
        monkeypatch.setattr(captured_decode, "BLOCK_STEPS", steps)
        assert_same(sample(both[0].base(), prompt(stop=("e",)), 12, temperature=1.3), plain)


def test_snapshots_of_different_ranks_and_the_base_are_told_apart(both: tuple[LocalPolicy, LocalPolicy]) -> None:
    def draws(policy: LocalPolicy) -> list[tuple[Completion, ...]]:
        samplers: list[Any] = [policy.base()]
        for rank in (4, 2, 4):
            trainer = asyncio.run(policy.trainer(LoraConfig(rank=rank, alpha=8, seed=len(samplers))))
            (good,) = sample(policy.base(), prompt("y"), 1, max_tokens=12)
            ones = (1.0,) * len(good.tokens)
            item = TrainItem(prompt("y"), good.tokens, good.logprobs, ones, ones)
            for _ in range(3):
                asyncio.run(trainer.step([item], "cross_entropy", AdamConfig(learning_rate=1e-2)))
            samplers.append(asyncio.run(trainer.snapshot("s")))
        return [sample(sampler, prompt(), 5, max_tokens=20, seed=3) for sampler in [*samplers, *samplers[::-1]]]

    ours, plain = draws(both[0]), draws(both[1])
    for one, other in zip(ours, plain, strict=True):
        assert_same(one, other)
    assert len({tuple(c.tokens for c in draw) for draw in ours}) == 4


def test_joined_weights_leave_the_model_as_it_was(tiny_folders: dict[str, Path]) -> None:
    for family in ("llama", "qwen2", "qwen3"):
        plain = load_weights(f"local:{tiny_folders[family]}").model
        model = load_weights(f"local:{tiny_folders[family]}").model
        CapturedDecoder(model, capture=False)
        assert model.state_dict().keys() == plain.state_dict().keys()
        ids: Any = torch.arange(5, 25)[None]
        assert torch.allclose(model(ids).logits, plain(ids).logits, atol=1e-5)


def test_families_with_other_attention_and_spread_models_are_not_fused(tiny_folders: dict[str, Path]) -> None:
    assert can_fuse(load_weights(f"local:{tiny_folders['qwen3']}").model)
    assert not can_fuse(load_weights(f"local:{tiny_folders['mistral']}").model)
    split: Any = load_weights(f"local:{tiny_folders['llama']}").model
    split.get_output_embeddings().to(torch.bfloat16)
    assert not can_fuse(split)


def test_a_row_that_ends_on_an_end_mark_stops_there(both: tuple[LocalPolicy, LocalPolicy]) -> None:
    ours, plain = (sample(policy.base(), prompt(), 32, temperature=2.0) for policy in both)
    assert_same(ours, plain)
    assert {c.stop_reason for c in ours} == {StopReason.STOP, StopReason.LENGTH}


@pytest.mark.parametrize("stop", [(), ("\n",), ("orc", "zzz"), ("é",), ("\n        ret",)])
def test_tokens_taken_together_stop_where_tokens_taken_one_by_one_do(
    both: tuple[LocalPolicy, LocalPolicy], stop: tuple[str, ...]
) -> None:
    tokenizer = both[1]._loaded.tokenizer
    ids = tokenizer.encode(" torch.relu(x)é→λ\n        return x # é")

    def one_by_one(detokenizer: Detokenizer) -> int | None:
        return next((place for place, token in enumerate(ids) if detokenizer.push(token)), None)

    def by_threes(detokenizer: Detokenizer) -> int | None:
        for first in range(0, len(ids), 3):
            place = detokenizer.push_all(ids[first : first + 3])
            if place is not None:
                return first + place
        return None

    makers: list[Callable[[Detokenizer], int | None]] = [one_by_one, by_threes, lambda d: d.push_all(ids)]
    found = []
    for take in makers:
        detokenizer = Detokenizer(tokenizer, tokenizer.encode("return"), stop)
        found.append((take(detokenizer), detokenizer.text()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("length", [1, 2, 150])
def test_scores_equal_those_of_the_plain_policy_with_and_without_an_adapter(
    both: tuple[LocalPolicy, LocalPolicy], length: int
) -> None:
    def scores(policy: LocalPolicy) -> list[Any]:
        trainer = asyncio.run(policy.trainer(LoraConfig(rank=4, alpha=8)))
        ones = (1.0,) * 4
        item = TrainItem(prompt("y"), (5, 6, 7, 8), (-1.0,) * 4, ones, ones)
        for _ in range(3):
            asyncio.run(trainer.step([item], "cross_entropy", AdamConfig(learning_rate=1e-2)))
        samplers: list[Any] = [policy.base(), asyncio.run(trainer.snapshot("s"))]
        tokens = tuple(5 + place % 40 for place in range(length))
        return [asyncio.run(sampler.score(prompt("x"), tokens, 3)) for sampler in samplers]

    ours, plain = scores(both[0]), scores(both[1])
    for one, other in zip(ours, plain, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert [[token for token, _ in place] for place in one.topk] == [[t for t, _ in place] for place in other.topk]
    assert ours[0].logprobs != pytest.approx(ours[1].logprobs, abs=1e-3)
