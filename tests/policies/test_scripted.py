import asyncio
import json
import math
from pathlib import Path

import pytest

from assay.core.errors import UsageError
from assay.core.records import Completion, Prompt, SamplingParams, StopReason
from assay.policies.scripted import Script, ScriptedPolicy, load_script


def prompt(key: str = "s/1", stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key=key, format="body", kind="completion", text="def f():", stop=stop)


def drawn(policy: ScriptedPolicy, what: Prompt, n: int = 1, **params: float) -> tuple[Completion, ...]:
    return asyncio.run(policy.base().sample(what, n, SamplingParams.model_validate(params))).completions


def scripted(**completions: list) -> ScriptedPolicy:
    return ScriptedPolicy(Script.model_validate({"completions": completions}))


def test_a_task_key_goes_before_the_star() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"*": ["any"], "s/1": ["mine"]}}))
    assert drawn(policy, prompt("s/1"))[0].text == "mine"
    assert drawn(policy, prompt("s/2"))[0].text == "any"


def test_a_task_without_completions_is_a_usage_error() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"s/1": ["mine"]}}))
    with pytest.raises(UsageError, match="s/2"):
        drawn(policy, prompt("s/2"))


def test_default_logprobs_are_those_of_the_script_as_a_distribution_over_bytes() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"*": [{"text": "ab", "weight": 3}, "ac"]}}))
    by_text = {c.text: c for c in drawn(policy, prompt(), 40)}
    assert by_text["ab"].tokens == (97, 98)
    assert by_text["ab"].logprobs == pytest.approx((0.0, math.log(3 / 4)))
    assert by_text["ac"].logprobs == pytest.approx((0.0, math.log(1 / 4)))


def test_weights_are_followed() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"*": [{"text": "a", "weight": 9}, "b"]}}))
    texts = [c.text for c in drawn(policy, prompt(), 1000)]
    assert 860 <= texts.count("a") <= 940
    assert {c.text for c in drawn(policy, prompt(), 20, temperature=0)} == {"a"}


def test_given_logprobs_are_returned_and_cut_with_the_text() -> None:
    policy = ScriptedPolicy(
        Script.model_validate({"completions": {"*": [{"text": "x\ny", "logprobs": [-1, -2, -3], "stop": "length"}]}})
    )
    (whole,) = drawn(policy, prompt())
    assert (whole.logprobs, whole.stop_reason) == ((-1, -2, -3), StopReason.LENGTH)
    (stopped,) = drawn(policy, prompt(stop=("\n",)))
    assert (stopped.text, stopped.logprobs, stopped.stop_reason) == ("x", (-1, -2), StopReason.STOP)
    (short,) = drawn(policy, prompt(), max_tokens=1)
    assert (short.text, short.logprobs, short.stop_reason) == ("x", (-1,), StopReason.LENGTH)


def test_an_empty_completion_has_no_tokens() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"*": [""]}}))
    (completion,) = drawn(policy, prompt())
    assert (completion.text, completion.tokens, completion.logprobs) == ("", (), ())


def test_a_completion_that_is_not_in_the_script_cannot_be_scored() -> None:
    policy = ScriptedPolicy(Script.model_validate({"completions": {"*": ["abc"]}}))
    with pytest.raises(UsageError, match="no completion of s/1"):
        asyncio.run(policy.base().score(prompt(), tuple(b"zzz")))


def test_json_and_toml_files_give_the_same_policy(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"completions": {"*": ["x", {"text": "y", "weight": 2}]}}))
    (tmp_path / "a.toml").write_text('[completions]\n"*" = ["x", {text = "y", weight = 2}]\n')
    ids = {load_script(tmp_path / name).base().id for name in ("a.json", "a.toml")}
    assert len(ids) == 1


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        "{}",
        '{"completions": {}}',
        '{"completions": {"*": []}}',
        '{"completions": {"*": "text"}}',
        '{"completions": {"*": [{"text": "ab", "logprobs": [-1]}]}}',
        '{"completions": {"*": [{"text": "ab", "weight": 0}]}}',
        '{"completions": {"*": [{"text": "ab", "wieght": 1}]}}',
    ],
)
def test_a_file_without_the_documented_form_is_a_usage_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(UsageError, match=r"a\.json"):
        load_script(tmp_path / "a.json")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read.*give a \.json"):
        load_script(tmp_path / "none.json")
