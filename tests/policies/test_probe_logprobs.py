import asyncio

import pytest
from openai_servers import MODEL, serving

from assay.policies.openai_server import load_openai
from assay.policies.probe_logprobs import compare_temperatures, judge_gaps, probe_by_rescoring
from assay.policies.scripted import Script, ScriptedPolicy


def test_equal_logprobs_are_raw():
    report = judge_gaps([-1.0] * 4, [-1.0] * 4, "rescored")
    assert (report.verdict, report.gap, report.tokens) == ("raw", 0.0, 4)


def test_a_mean_gap_above_the_tolerance_is_tempered():
    report = judge_gaps([-0.5, -1.0, -1.0, -1.0], [-1.0, -1.5, -1.0, -1.0], "rescored")
    assert report.verdict == "tempered" and report.gap == pytest.approx(0.25)


def test_tokens_that_the_model_was_sure_of_say_nothing():
    report = judge_gaps([-0.01] * 9, [-0.02] * 9, "rescored")
    assert (report.verdict, report.gap, report.tokens) == ("unclear", None, 0)


def test_only_tokens_that_both_temperatures_show_are_compared():
    assert compare_temperatures({"a": -0.1, "b": -2.0}, {"a": -0.05, "b": -2.0, "c": -1.0}).verdict == "raw"
    assert compare_temperatures({"a": -0.1, "b": -2.0}, {"a": -0.05, "b": -4.0}).verdict == "tempered"
    assert compare_temperatures({"a": -1.0}, {"b": -1.0}).verdict == "unclear"


def test_a_policy_that_scores_what_it_draws_is_raw():
    script = Script.model_validate({"completions": {"*": [{"text": "abcd", "logprobs": [-1.0] * 4}]}})
    report = asyncio.run(probe_by_rescoring(ScriptedPolicy(script).base(), "completion"))
    assert (report.verdict, report.gap) == ("raw", 0.0)


@pytest.mark.parametrize(
    ("dialect", "tempered", "verdict", "method"),
    [
        ("vllm", False, "raw", "rescored"),
        ("vllm", True, "tempered", "rescored"),
        ("sglang", False, "raw", "rescored"),
        ("sglang", True, "tempered", "rescored"),
        ("llama.cpp", False, "raw", "two temperatures"),
        ("llama-cpp-python", False, "raw", "two temperatures"),
    ],
)
def test_a_server_is_seen_for_what_it_is(dialect, tempered, verdict, method):
    with serving(dialect, tempered=tempered) as (url, _):
        report = load_openai(f"openai:{MODEL}@{url}").report
    assert (report.verdict, report.method) == (verdict, method)
