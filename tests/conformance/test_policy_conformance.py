"""One suite that every policy must pass."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from openai_servers import MODEL, serving
from real_server import llama_server

from assay.core.errors import UsageError
from assay.core.protocols import Draw, LoraConfig, Policy
from assay.core.records import Message, Prompt, SamplingParams, Scored, StopReason
from assay.policies.local import load_local
from assay.policies.openai_server import load_openai
from assay.policies.scripted import Script, ScriptedPolicy

POLICIES = [
    "scripted",
    "llama",
    "qwen2",
    "qwen3",
    "mistral",
    "openai vllm",
    "openai sglang",
    "openai llama.cpp",
    "openai llama-cpp-python",
    pytest.param("smollm2-135m", marks=[pytest.mark.slow, pytest.mark.network]),
    pytest.param("openai server", marks=[pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(900)]),
]
TEXT = "import torch\n\nclass ModelNew(Model):\n    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        return"
SCRIPT = {
    "completions": {
        "*": [
            " torch.relu(x)\n",
            " x.clamp(min=0)\n",
            {"text": " x * (x > 0)  # ü→λ\n", "weight": 2},
            {"text": " torch.maximum(x, torch.zeros_like(x))\n", "stop": "length"},
        ]
    }
}


@pytest.fixture(scope="module")
def load(tiny_folders: dict[str, Path]) -> Iterator[Callable[[str], Policy]]:
    loaded: dict[str, Policy] = {}
    running = ExitStack()

    def policy(name: str) -> Policy:
        if name not in loaded:
            if name == "scripted":
                loaded[name] = ScriptedPolicy(Script.model_validate(SCRIPT))
            elif name == "openai server":
                loaded[name] = load_openai(running.enter_context(llama_server("smollm2-135m")))
            elif name.startswith("openai "):
                url, _ = running.enter_context(serving(name.removeprefix("openai ")))
                loaded[name] = load_openai(f"openai:{MODEL}@{url}")
            else:
                loaded[name] = load_local(f"local:{tiny_folders[name]}" if name in tiny_folders else name)
        return loaded[name]

    with running:
        yield policy


@pytest.fixture(params=POLICIES)
def policy(request: pytest.FixtureRequest, load: Callable[[str], Policy]) -> Policy:
    return load(request.param)


def prompt(text: str = TEXT, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text, stop=stop)


def sample(policy: Policy, what: Prompt, n: int, **params: float) -> Draw:
    return asyncio.run(policy.base().sample(what, n, SamplingParams.model_validate({"max_tokens": 24, **params})))


def score(policy: Policy, what: Prompt, tokens: tuple[int, ...], topk: int = 0) -> Scored:
    if not policy.capabilities.can_score:
        with pytest.raises(UsageError, match="does not score"):
            asyncio.run(policy.base().score(what, tokens, topk))
        pytest.skip("this policy does not score, and says so")
    return asyncio.run(policy.base().score(what, tokens, topk))


def test_a_draw_has_n_completions_of_at_most_max_tokens(policy: Policy) -> None:
    draw = sample(policy, prompt(), 5, max_tokens=7)
    assert len(draw.completions) == 5
    assert draw.prompt_tokens > 0
    for completion in draw.completions:
        assert 1 <= len(completion.tokens) <= 7
        assert all(logprob <= 0 for logprob in completion.logprobs)
        if completion.stop_reason is StopReason.LENGTH:
            assert len(completion.tokens) == 7


def test_sampler_and_scorer_agree_on_raw_logprobs_when_sampled_at_another_temperature(policy: Policy) -> None:
    for completion in sample(policy, prompt(), 4, temperature=0.5).completions:
        scored = score(policy, prompt(), completion.tokens)
        assert scored.tokens == completion.tokens
        assert scored.logprobs == pytest.approx(completion.logprobs, abs=2e-4)


def test_the_same_seed_gives_the_same_draw_and_another_seed_another_one(policy: Policy) -> None:
    first = sample(policy, prompt(), 8, seed=3)
    again = sample(policy, prompt(), 8, seed=3)
    other = sample(policy, prompt(), 8, seed=4)
    assert [c.tokens for c in first.completions] == [c.tokens for c in again.completions]
    assert [c.tokens for c in first.completions] != [c.tokens for c in other.completions]


def test_rows_of_one_draw_differ(policy: Policy) -> None:
    assert len({c.tokens for c in sample(policy, prompt(), 12, temperature=1.0).completions}) > 1


def test_asking_for_more_rows_leaves_the_first_rows_as_they_were(policy: Policy) -> None:
    few = sample(policy, prompt(), 2, seed=5)
    many = sample(policy, prompt(), 9, seed=5)
    for one, same in zip(few.completions, many.completions[:2], strict=True):
        assert one.tokens == same.tokens
        assert one.logprobs == pytest.approx(same.logprobs, abs=2e-4)


def test_temperature_zero_gives_equal_rows_for_any_seed(policy: Policy) -> None:
    rows = [sample(policy, prompt(), 2, temperature=0, seed=seed).completions for seed in (0, 1)]
    assert len({c.tokens for draw in rows for c in draw}) == 1


def test_a_stop_string_ends_the_completion_and_is_not_in_its_text(policy: Policy) -> None:
    free = "".join(c.text for c in sample(policy, prompt(), 16, seed=1).completions)
    mark = Counter(free.replace("\ufffd", "")).most_common(1)[0][0]
    stopped = sample(policy, prompt(stop=("never drawn at all", mark)), 16, seed=1)
    assert any(c.stop_reason is StopReason.STOP for c in stopped.completions)
    for completion in stopped.completions:
        assert mark not in completion.text


def test_tokens_run_up_to_and_including_the_one_that_completes_the_stop_string(policy: Policy) -> None:
    for mark in ("\n", " ", "e", "t"):
        for completion in sample(policy, prompt(stop=(mark,)), 6, seed=2).completions:
            if completion.stop_reason is StopReason.STOP and completion.tokens:
                before = score(policy, prompt(), completion.tokens)
                assert before.logprobs == pytest.approx(completion.logprobs, abs=2e-4)
                assert mark not in completion.text


def test_a_prompt_beyond_ascii_is_sampled_and_scored(policy: Policy) -> None:
    what = prompt("# größer → λ 漢字 🚀\nreturn")
    for completion in sample(policy, what, 3).completions:
        assert score(policy, what, completion.tokens).logprobs == pytest.approx(completion.logprobs, abs=2e-4)


def test_an_empty_completion_scores_to_nothing(policy: Policy) -> None:
    assert score(policy, prompt(), ()) == Scored(tokens=(), logprobs=())


def test_no_rows_is_a_usage_error(policy: Policy) -> None:
    with pytest.raises(UsageError, match="t/1"):
        sample(policy, prompt(), 0)


def test_a_prompt_longer_than_the_context_names_both_lengths(policy: Policy) -> None:
    context = policy.capabilities.context_tokens
    if context is None:
        pytest.skip("this policy has no context limit")
    long = prompt("λ " * context)
    with pytest.raises(UsageError, match=rf"t/1 has \d+ tokens.*holds {context}"):
        sample(policy, long, 1)
    with pytest.raises(UsageError, match=f"holds {context}"):
        score(policy, long, (5,))


def test_a_snapshot_has_one_id(policy: Policy) -> None:
    assert policy.base().id == policy.base().id != ""


def test_topk_is_as_declared(policy: Policy) -> None:
    tokens = sample(policy, prompt(), 1).completions[0].tokens
    if policy.capabilities.topk == 0:
        with pytest.raises(UsageError, match="top-k"):
            score(policy, prompt(), tokens, topk=3)
        return
    scored = score(policy, prompt(), tokens, topk=3)
    assert [len(pairs) for pairs in scored.topk] == [3] * len(tokens)
    for token, logprob, pairs in zip(scored.tokens, scored.logprobs, scored.topk, strict=True):
        values = [value for _, value in pairs]
        assert values == sorted(values, reverse=True)
        assert logprob <= values[0] + 1e-6
        assert dict(pairs).get(token, logprob) == pytest.approx(logprob, abs=1e-6)


def test_a_policy_that_cannot_train_says_so(policy: Policy) -> None:
    if policy.capabilities.can_train:
        pytest.skip("this policy trains")
    with pytest.raises(UsageError, match="cannot be adapted"):
        asyncio.run(policy.trainer(LoraConfig()))


def test_concurrent_calls_give_what_calls_in_turn_give(policy: Policy) -> None:
    params = SamplingParams(max_tokens=8, seed=2)
    prompts = [prompt(), prompt(TEXT + " x"), prompt(TEXT + " torch")]

    async def together() -> list[Draw]:
        return await asyncio.gather(*(policy.base().sample(what, 3, params) for what in prompts))

    in_turn = [asyncio.run(policy.base().sample(what, 3, params)) for what in prompts]
    assert asyncio.run(together()) == in_turn


def test_a_chat_prompt_is_answered(policy: Policy) -> None:
    what = Prompt(
        task_key="t/1",
        format="body",
        kind="chat",
        messages=(Message(role="user", content="Write it another way."),),
        prefill="class ModelNew",
    )
    try:
        draw = sample(policy, what, 2)
    except UsageError as refusal:  # a server that closes every turn says so, and answers with whole ones
        assert "prompt.prefill=false" in str(refusal)
        what = what.model_copy(update={"prefill": ""})
        draw = sample(policy, what, 2)
    for completion in draw.completions:
        assert score(policy, what, completion.tokens).logprobs == pytest.approx(completion.logprobs, abs=2e-4)
