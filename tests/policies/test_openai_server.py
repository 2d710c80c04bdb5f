"""The policy against real HTTP servers of every dialect, held against the model behind them."""

import asyncio

import pytest
from openai_servers import CONTEXT, MODEL, State, serving
from pocket_model import raw_logprobs, tokenize

from assay.core.errors import UsageError
from assay.core.protocols import Draw
from assay.core.records import Message, Prompt, SamplingParams
from assay.policies.openai_connect import Wanted
from assay.policies.openai_parse import PSEUDO_BASE
from assay.policies.openai_server import OpenAIPolicy, load_openai
from assay.policies.openai_settings import ServerSettings, parse_address

QUICK = ServerSettings(retries=1, backoff_s=0.001)
TEXT = "class ModelNew(Model):\n    def forward(self, x):\n        return"
WITH_IDS = ["vllm", "sglang", "llama.cpp"]
DIALECTS = [*WITH_IDS, "llama-cpp-python"]


def prompt(text: str = TEXT, stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text, stop=stop)


def chat(prefill: str = "") -> Prompt:
    messages = (Message(role="system", content="be brief"), Message(role="user", content="hi"))
    return Prompt(task_key="t/1", format="body", kind="chat", messages=messages, prefill=prefill)


def load(url: str, wanted: Wanted | None = None, **settings: object) -> OpenAIPolicy:
    return load_openai(f"openai:{MODEL}@{url}", QUICK.model_copy(update=settings), wanted)


def sample(policy: OpenAIPolicy, what: Prompt, n: int = 4, **params: float) -> Draw:
    return asyncio.run(policy.base().sample(what, n, SamplingParams.model_validate({"max_tokens": 12, **params})))


def bodies(state: State, path: str = "/v1/completions") -> list[dict]:
    return [body for asked, body in state.requests if asked == path]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_dialect_is_found_out(dialect):
    with serving(dialect) as (url, _):
        assert load(url).dialect == dialect


@pytest.mark.parametrize("dialect", WITH_IDS)
@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_samples_hold_real_ids_and_raw_logprobs(dialect, temperature):
    with serving(dialect) as (url, _):
        draw = sample(load(url), prompt(), temperature=temperature)
    assert draw.prompt_tokens == len(tokenize(TEXT))
    for completion in draw.completions:
        assert max(completion.tokens) < PSEUDO_BASE
        assert completion.logprobs == pytest.approx(raw_logprobs(tokenize(TEXT), completion.tokens), abs=1e-6)


def test_tokens_that_are_known_by_text_get_pseudo_ids():
    with serving("llama-cpp-python") as (url, _):
        draw = sample(load(url), prompt())
    assert min(min(completion.tokens) for completion in draw.completions) >= PSEUDO_BASE


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_servers_own_sampling_defaults_are_switched_off(dialect):
    with serving(dialect) as (url, state):
        sample(load(url), prompt())
        assert {body["top_k"] for body in bodies(state) if "max_tokens" in body and body["max_tokens"] > 1} <= {0, -1}


def test_every_row_is_a_request_with_a_seed_of_its_own():
    with serving("vllm") as (url, state):
        policy = load(url)
        state.requests.clear()
        sample(policy, prompt(), 5)
        assert len({body["seed"] for body in bodies(state)}) == 5
        assert all(0 <= body["seed"] < 2**31 and "n" not in body for body in bodies(state))


def test_rows_of_one_request_are_one_request():
    with serving("vllm") as (url, state):
        policy = load(url, rows_per_request=4)
        state.requests.clear()
        draw = sample(policy, prompt(), 6)
        assert [body.get("n") for body in bodies(state)] == [4, 2] or [b.get("n") for b in bodies(state)] == [2, 4]
        assert len(draw.completions) == 6


def test_a_server_that_gives_one_row_where_more_were_asked_for_is_named():
    with serving("llama-cpp-python") as (url, _):
        policy = load(url, rows_per_request=3)
        with pytest.raises(UsageError, match=r"rows_per_request=1"):
            sample(policy, prompt())


def test_no_more_requests_than_allowed_are_under_way():
    with serving("vllm") as (url, state):
        policy = load(url, concurrency=2)
        sample(policy, prompt(), 24)
        assert state.most_at_once <= 2


def test_scoring_gives_raw_logprobs_and_sorted_alternatives():
    for dialect in ("vllm", "sglang"):
        with serving(dialect) as (url, _):
            policy = load(url)
            tokens = tuple(tokenize(" torch.relu(x)\n"))
            scored = asyncio.run(policy.base().score(prompt(), tokens, topk=4))
        assert scored.logprobs == pytest.approx(raw_logprobs(tokenize(TEXT), tokens), abs=1e-6)
        assert [len(pairs) for pairs in scored.topk] == [4] * len(tokens)
        assert all(pairs == tuple(sorted(pairs, key=lambda pair: -pair[1])) for pairs in scored.topk)


def test_an_echo_that_is_right_is_used_for_scoring():
    with serving("llama-cpp-python", echo_shift=0) as (url, _):
        policy = load(url)
        assert policy.capabilities.can_score
        for completion in sample(policy, prompt()).completions:
            scored = asyncio.run(policy.base().score(prompt(), completion.tokens))
            assert scored.logprobs == pytest.approx(completion.logprobs, abs=1e-6)


def test_an_echo_that_is_off_by_one_is_not_used_for_scoring():
    with serving("llama-cpp-python", echo_shift=1) as (url, _):
        policy = load(url)
    assert not policy.capabilities.can_score
    assert policy.report.verdict == "raw"


def test_tempered_logprobs_with_no_scorer_are_refused_unless_nothing_is_tempered():
    with serving("llama.cpp", tempered=True) as (url, _):
        with pytest.raises(UsageError, match=r"tempered .*temperature 1.*logprobs=dropped"):
            load(url, Wanted(temperature=0.5))
        assert load(url, Wanted(temperature=1.0)).report.verdict == "tempered"
        with pytest.raises(UsageError, match="tempered"):
            load(url, Wanted(temperature=1.0, top_p=0.9))


def test_missing_logprobs_are_refused_and_can_be_done_without():
    with serving("llama.cpp", has_logprobs=False) as (url, _):
        with pytest.raises(UsageError, match="gives no log-probabilities"):
            load(url)
        draw = sample(load(url, logprobs="dropped"), prompt())
        assert draw.completion_tokens and draw.completion_tokens > 0
        assert all(completion.tokens == () and completion.text for completion in draw.completions)


def test_transformers_serves_without_logprobs_and_without_unknown_fields():
    with serving("transformers") as (url, state):
        with pytest.raises(UsageError, match="transformers serve gives none"):
            load(url)
        policy = load(url, logprobs="dropped")
        assert policy.dialect == "transformers"
        assert len(sample(policy, prompt(stop=("\n",))).completions) == 4
        assert all("logprobs" not in body for body in bodies(state)[-4:])


def test_a_hosted_chat_takes_four_stop_strings_the_rest_are_applied_here():
    stops = (*(f"never {i}" for i in range(4)), " x", ".", " #", "\n")
    with serving("openai", key=None) as (url, state):
        policy = load(url)
        assert policy.prompt_kind == "chat"
        what = chat().model_copy(update={"stop": stops})
        for completion in sample(policy, what, 8).completions:
            assert not any(mark in completion.text for mark in stops)
            assert len(completion.tokens) == len(completion.logprobs)
        assert all(len(body.get("stop", ())) <= 4 for body in bodies(state, "/v1/chat/completions"))


@pytest.mark.parametrize("dialect", WITH_IDS)
def test_a_begun_turn_is_continued(dialect):
    with serving(dialect) as (url, _):
        draw = sample(load(url, Wanted(kind="chat", has_prefill=True)), chat("def "), temperature=1.0)
    rendered = "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\ndef "
    for completion in draw.completions:
        assert completion.logprobs == pytest.approx(raw_logprobs(tokenize(rendered), completion.tokens), abs=1e-6)


@pytest.mark.parametrize("dialect", ["llama-cpp-python", "openai"])
def test_a_server_that_closes_turns_is_refused_before_anything_is_sampled(dialect):
    with (
        serving(dialect) as (url, _),
        pytest.raises(UsageError, match=r"prompt\.prefill=false.*server\.tokenizer"),
    ):
        load(url, Wanted(kind="chat", has_prefill=True))


def test_prompts_that_do_not_fit_name_both_lengths_and_completions_are_shortened():
    with serving("vllm") as (url, _):
        policy = load(url)
        with pytest.raises(UsageError, match=rf"t/1 has {CONTEXT} tokens, and the context of {MODEL} holds {CONTEXT}"):
            sample(policy, prompt("\x01" * CONTEXT))
        almost = prompt("\x01" * (CONTEXT - 5))
        assert all(len(completion.tokens) <= 5 for completion in sample(policy, almost, max_tokens=50).completions)


def test_prompts_that_do_not_fit_are_refused_where_lengths_are_not_told():
    with serving("llama-cpp-python") as (url, _):
        policy = load(url)
        with pytest.raises(UsageError, match="does not fit the context"):
            sample(policy, prompt("\x01" * CONTEXT))


def test_an_empty_prompt_is_refused():
    with serving("vllm") as (url, _), pytest.raises(UsageError, match="t/1 is empty"):
        sample(load(url), prompt(""))


def test_tokens_and_money_are_counted():
    with serving("vllm") as (url, _):
        free = sample(load(url), prompt(), 3)
        policy = load(url, prompt_dollars_per_million=1.0, completion_dollars_per_million=10.0)
        draw = sample(policy, prompt(), 3)
    spent = sum(len(completion.tokens) for completion in draw.completions)
    assert free.dollars is None
    assert draw.completion_tokens == spent
    assert draw.dollars == pytest.approx((3 * draw.prompt_tokens * 1.0 + spent * 10.0) / 1e6)


def test_the_id_follows_the_name_and_not_the_place():
    with serving("vllm") as (first, _), serving("vllm") as (second, _):
        assert load(first).base().id == load(second).base().id


def test_a_server_on_this_machine_shares_its_device_and_another_does_not():
    with serving("vllm") as (url, _):
        policy = load_openai(f"openai:{MODEL}@{url}", QUICK, device="cpu")
        assert policy.device == "cpu"
        assert load(url).device == "remote"


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        ("openai:m@http://h:1/v1", "http://h:1/v1"),
        ("openai:m@http://h:1", "http://h:1/v1"),
        ("openai:m@https://h/api/v2/", "https://h/api/v2"),
        ("openai:org/m:q4@http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_addresses(spec, url):
    address = parse_address(spec)
    assert address.base_url == url
    assert parse_address(address.spec) == address


def test_the_url_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://h:1/v1/")
    assert parse_address("openai:m").spec == "openai:m@http://h:1/v1"
    monkeypatch.delenv("OPENAI_BASE_URL")
    with pytest.raises(UsageError, match="OPENAI_BASE_URL"):
        parse_address("openai:m")


@pytest.mark.parametrize(
    "spec",
    [
        "openai:@http://h/v1",
        "openai:",
        "openai:m@h:8000",
        "openai:m@http://",
        "openai:m@http://h:port/v1",
        "openai:m@http://user:SECRET@h/v1",
        "openai:m@http://h/v1?key=SECRET",
        "openai:m@http://h/v1#SECRET",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(spec, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UsageError) as refused:
        parse_address(spec)
    assert "SECRET" not in str(refused.value)
