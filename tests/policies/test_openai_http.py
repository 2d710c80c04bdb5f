"""Every way in which a server can fail, with the words and the kind of error that come of it."""

import asyncio
import re

import pytest
from openai_servers import MODEL, garbage, half_an_answer, reset, serving, silence, status

from assay.core.errors import PolicyError, UsageError
from assay.core.records import Prompt, SamplingParams
from assay.policies.openai_http import _retry_after_s
from assay.policies.openai_server import OpenAIPolicy, load_openai
from assay.policies.openai_settings import ServerSettings

KEY = "sk-not-a-real-key-1234567890"
QUICK = ServerSettings(retries=2, backoff_s=0.001)
PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="def f(x):\n    return")


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def sample(policy: OpenAIPolicy) -> int:
    return len(asyncio.run(policy.base().sample(PROMPT, 1, SamplingParams(max_tokens=4))).completions)


def load(url: str, settings: ServerSettings = QUICK, name: str = MODEL) -> OpenAIPolicy:
    return load_openai(f"openai:{name}@{url}", settings)


PASSING = {
    "429": status(429),
    "429 with Retry-After": status(429, retry_after="0.01"),
    "500": status(500),
    "503": status(503, "Loading model"),
    "no JSON": garbage,
    "half an answer": half_an_answer,
    "reset": reset,
}
LASTING = {
    "429": (status(429, "slow down", retry_after="0"), r"limits the rate of requests and asks to wait 0 s \(slow down"),
    "500": (status(500, "out of memory"), "fails with status 500: out of memory"),
    "no JSON": (garbage, "no JSON.*begins '<html>Bad gateway"),
    "half an answer": (half_an_answer, "broke off"),
    "reset": (reset, "broke off"),
    "silence": (silence(0.6), "no answer within 0.2 s; allow more with --set server.timeout_s"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_a_passing_failure_is_tried_again(fault):
    with serving("vllm") as (url, state):
        policy = load(url)
        state.faults += [PASSING[fault]] * 2
        assert sample(policy) == 1
        assert state.faults == []


@pytest.mark.parametrize("fault", LASTING)
def test_a_lasting_failure_is_ours_in_a_run_and_the_users_at_its_start(fault):
    happens, words = LASTING[fault]
    impatient = QUICK.model_copy(update={"timeout_s": 0.2} if fault == "silence" else {})
    with serving("vllm") as (url, state):
        policy = load(url, impatient.model_copy(update={"retries": 1}))
        state.faults += [happens] * 2
        with pytest.raises(PolicyError, match=rf"{words}.*\(2 tries\)"):
            sample(policy)
        state.faults += [happens] * 3
        with pytest.raises(UsageError, match=words):
            load(url, impatient)


def test_a_server_that_asks_for_an_hour_is_not_waited_for():
    with serving("vllm") as (url, state):
        policy = load(url)
        state.faults += [status(429, retry_after="3600")]
        with pytest.raises(PolicyError, match="asks to wait 3600 s"):
            sample(policy)


def test_no_server_is_said_at_once():
    with serving("vllm") as (url, _):
        pass
    with pytest.raises(UsageError, match=r"no server answers there .*is the port right\?"):
        load(url, ServerSettings(retries=50))


def test_a_server_that_goes_away_is_our_failure():
    with serving("vllm") as (url, _):
        policy = load(url)
    with pytest.raises(PolicyError, match=r"no server answers.*\(3 tries\)"):
        sample(policy)


def test_what_is_no_such_server_is_said():
    with serving("vllm") as (url, _), pytest.raises(UsageError, match=r"status 404.*mostly ends in /v1"):
        load(url.removesuffix("/v1") + "/other")


def test_a_model_that_is_not_there_names_those_that_are():
    with serving("vllm") as (url, _), pytest.raises(UsageError, match=f"no model 'other'; it has {MODEL}"):
        load(url, name="other")


def test_a_missing_key_and_a_wrong_one_are_told_apart(monkeypatch):
    with serving("vllm", key=KEY) as (url, _):
        with pytest.raises(UsageError, match="none was sent; set OPENAI_API_KEY"):
            load(url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-0987654321")
        with pytest.raises(UsageError, match="holds another server's key") as refused:
            load(url)
        assert "sk-another" not in str(refused.value)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert sample(load(url)) == 1


@pytest.mark.parametrize("code", [400, 429, 500])
def test_a_key_that_a_server_repeats_is_hidden(code, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    caplog.set_level("DEBUG", logger="assay")
    with serving("vllm", key=KEY) as (url, state):
        policy = load(url)
        state.faults += [status(code, f"refused for {KEY}")] * 3
        with pytest.raises((PolicyError, UsageError), match=re.escape("refused for [hidden]")) as failed:
            sample(policy)
    assert KEY not in str(failed.value) + repr(failed.value) + caplog.text


@pytest.mark.parametrize(("header", "seconds"), [(None, None), ("7", 7.0), ("-1", 0.0), ("soon", None)])
def test_retry_after_is_a_number_or_a_date(header, seconds):
    assert _retry_after_s(header) == seconds
    assert _retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0
