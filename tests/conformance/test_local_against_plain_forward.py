"""Sharing the prompt and dropping finished rows change no number: held against plain forward passes."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import CONTEXT, save_tiny
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.core.errors import PolicyError, UsageError
from assay.core.records import Completion, Message, Prompt, SamplingParams, StopReason
from assay.policies import generation
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.local import LocalPolicy, load_local
from assay.policies.weights import load_weights

FAMILIES = ["llama", "qwen2", "qwen3", "mistral"]
TEXT = "class ModelNew(Model):\n    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        return"


class Plain:
    """The same checkpoint, loaded and used as the library's documentation shows it."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")

    def logprobs(self, prompt: list[int], tokens: tuple[int, ...]) -> torch.Tensor:
        """Raw log-probabilities at every place of the completion, (T, V)."""
        ids = torch.tensor([[*prompt, *tokens]])
        with torch.inference_mode():
            logits = self.model(input_ids=ids, use_cache=False).logits[0]
        return torch.log_softmax(logits[len(prompt) - 1 : -1], dim=-1)


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> tuple[LocalPolicy, Plain]:
    folder = tiny_folders[request.param]
    return load_local(f"local:{folder}"), Plain(folder)


def prompt(text: str = TEXT, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text, stop=stop)


def sample(policy: LocalPolicy, what: Prompt, n: int, **params: float) -> tuple[Completion, ...]:
    settings = SamplingParams.model_validate({"max_tokens": 80, **params})
    return asyncio.run(policy.base().sample(what, n, settings)).completions


def test_logprobs_equal_a_plain_forward_pass_while_rows_finish_at_different_times(
    pair: tuple[LocalPolicy, Plain],
) -> None:
    policy, plain = pair
    ids = plain.tokenizer.encode(TEXT)
    completions = sample(policy, prompt(stop=("e", "\n")), 16, temperature=1.3)
    assert len({len(c.tokens) for c in completions}) > 3
    for completion in completions:
        expected = plain.logprobs(ids, completion.tokens)
        picked = expected.gather(-1, torch.tensor(completion.tokens)[:, None])[:, 0]
        assert completion.logprobs == pytest.approx(picked.tolist(), abs=1e-4)


def test_scores_and_topk_equal_a_plain_forward_pass_across_chunks(
    pair: tuple[LocalPolicy, Plain], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy, plain = pair
    monkeypatch.setattr(generation, "SCORE_CHUNK", 8)
    tokens = tuple(plain.tokenizer.encode(TEXT)[:21])
    scored = asyncio.run(policy.base().score(prompt("def f(x):"), tokens, topk=4))
    expected = plain.logprobs(plain.tokenizer.encode("def f(x):"), tokens)
    assert scored.logprobs == pytest.approx(expected.gather(-1, torch.tensor(tokens)[:, None])[:, 0].tolist(), abs=1e-4)
    best = torch.topk(expected, 4, dim=-1)
    assert [[token for token, _ in pairs] for pairs in scored.topk] == best.indices.tolist()
    assert [value for pairs in scored.topk for _, value in pairs] == pytest.approx(
        best.values.flatten().tolist(), abs=1e-4
    )


def test_temperature_zero_takes_the_likeliest_token_of_a_plain_forward_pass(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, plain = pair
    (completion,) = sample(policy, prompt(), 1, temperature=0)
    expected = plain.logprobs(plain.tokenizer.encode(TEXT), completion.tokens)
    assert list(completion.tokens) == expected.argmax(dim=-1).tolist()


def test_a_tiny_nucleus_is_greedy_and_still_reports_raw_logprobs(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, _ = pair
    (greedy,) = sample(policy, prompt(), 1, temperature=0)
    (nucleus,) = sample(policy, prompt(), 1, temperature=1, top_p=1e-6)
    assert nucleus.tokens == greedy.tokens
    assert nucleus.logprobs == pytest.approx(greedy.logprobs, abs=1e-4)


def test_a_row_drawn_alone_equals_the_row_drawn_among_others(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, _ = pair
    (alone,) = sample(policy, prompt(), 1, seed=7)
    assert sample(policy, prompt(), 8, seed=7)[0].tokens == alone.tokens


def test_an_end_mark_is_in_the_tokens_and_not_in_the_text(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, plain = pair
    ended = [
        completion
        for seed in range(4)
        for completion in sample(policy, prompt(), 32, temperature=2.0, seed=seed)
        if completion.stop_reason is StopReason.STOP
    ]
    assert ended
    for completion in ended:
        assert completion.tokens[-1] in (0, 2)
        assert not {0, 2} & set(completion.tokens[:-1])
        assert completion.text == plain.tokenizer.decode(completion.tokens, skip_special_tokens=True)


def test_completions_end_where_the_context_is_full(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, plain = pair
    used = len(plain.tokenizer.encode(TEXT))
    completions = sample(policy, prompt(), 32, max_tokens=10 * CONTEXT)
    full = [c for c in completions if c.stop_reason is StopReason.LENGTH]
    assert full
    assert {len(c.tokens) for c in full} == {CONTEXT - used}
    with pytest.raises(UsageError, match="do not fit"):
        asyncio.run(policy.base().score(prompt(), (5,) * (CONTEXT - used + 1)))


def test_a_chat_prompt_goes_through_the_template_with_its_prefill(pair: tuple[LocalPolicy, Plain]) -> None:
    policy, plain = pair
    chat = Prompt(
        task_key="t/1",
        format="body",
        kind="chat",
        messages=(Message(role="user", content="hi"),),
        prefill="class ModelNew(Model):",
    )
    ids = plain.tokenizer.encode("<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nclass ModelNew(Model):")
    draw = asyncio.run(policy.base().sample(chat, 2, SamplingParams(max_tokens=6)))
    assert draw.prompt_tokens == len(ids)
    for completion in draw.completions:
        expected = plain.logprobs(ids, completion.tokens).gather(-1, torch.tensor(completion.tokens)[:, None])[:, 0]
        assert completion.logprobs == pytest.approx(expected.tolist(), abs=1e-4)


def test_only_plain_causal_families_share_the_prompt(tiny_folders: dict[str, Path]) -> None:
    shares = {
        family: load_local(f"local:{folder}")._loaded.model.config._attn_implementation == generation.ATTENTION_NAME
        for family, folder in tiny_folders.items()
    }
    assert shares == {"llama": True, "qwen2": True, "qwen3": True, "mistral": False}


def test_the_id_follows_the_weights_and_not_the_folder(tmp_path: Path) -> None:
    first = load_local(f"local:{save_tiny(tmp_path / 'a', 'llama', seed=0)}")
    same = load_local(f"local:{save_tiny(tmp_path / 'b', 'llama', seed=0)}")
    other = load_local(f"local:{save_tiny(tmp_path / 'c', 'llama', seed=1)}")
    assert first.base().id == same.base().id != other.base().id


def test_prompt_kind_follows_the_chat_template(tmp_path: Path) -> None:
    assert load_local(f"local:{save_tiny(tmp_path / 'a', 'llama')}").prompt_kind == "chat"
    plain = load_local(f"local:{save_tiny(tmp_path / 'b', 'llama', chat=False)}")
    assert plain.prompt_kind == "completion"
    chat = Prompt(task_key="t/1", format="body", kind="chat", messages=(Message(role="user", content="hi"),))
    with pytest.raises(UsageError, match="no chat template"):
        sample(plain, chat, 1)


def test_a_cancelled_draw_ends_early_and_leaves_the_policy_usable(tiny_folders: dict[str, Path]) -> None:
    policy = load_local(f"local:{tiny_folders['llama']}", threads=1)

    async def cancel_then_sample() -> int:
        task = asyncio.create_task(policy.base().sample(prompt(), 64, SamplingParams(max_tokens=100)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len((await policy.base().sample(prompt(), 2, SamplingParams(max_tokens=4))).completions)

    assert asyncio.run(cancel_then_sample()) == 2


def test_the_thread_count_of_the_process_is_left_alone(tiny_folders: dict[str, Path]) -> None:
    before = torch.get_num_threads()
    sample(load_local(f"local:{tiny_folders['llama']}", threads=1), prompt(), 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_model_that_diverged_says_so(tiny_folders: dict[str, Path], is_fused: bool) -> None:
    loaded = load_weights(f"local:{tiny_folders['qwen2']}")
    if is_fused:
        loaded = replace(loaded, decoder=CapturedDecoder(loaded.model, capture=False))
    policy = LocalPolicy(loaded)
    norm: Any = loaded.model.base_model.norm
    norm.weight.data[:] = torch.nan
    for params in ({}, {"temperature": 0.0}, {"top_p": 0.9}):
        with pytest.raises(PolicyError, match="diverged"):
            sample(policy, prompt(), 2, **params)
    with pytest.raises(PolicyError, match="diverged"):
        asyncio.run(policy.base().score(prompt(), (1, 2, 3)))
