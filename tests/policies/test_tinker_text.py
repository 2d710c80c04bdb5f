"""Prompts as tokens, and where a completion at a Tinker server ends."""

import pytest
from fake_tinker_sdk import SPECIAL, tiny_tokenizer

from assay.core.records import Completion, Message, Prompt, StopReason
from assay.policies.tinker_text import ModelText

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant{% endif %}"
)


def completion_prompt(stop: tuple[str, ...] = ()) -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text="def f(x):", stop=stop)


def chat(prefill: str = "", stop: tuple[str, ...] = ()) -> Prompt:
    messages = (Message(role="user", content="hi"),)
    return Prompt(task_key="t/1", format="body", kind="chat", messages=messages, prefill=prefill, stop=stop)


def drawn(text: ModelText, what: Prompt, raw: str, stopped: bool = False) -> Completion:
    tokens = text.tokenizer.encode(raw)
    return text.completion(what, text.prompt(what), tokens, [-1.0] * len(tokens), stopped)


@pytest.fixture
def plain() -> ModelText:
    return ModelText(tiny_tokenizer())


@pytest.fixture
def channels() -> ModelText:
    return ModelText(tiny_tokenizer(SPECIAL, TEMPLATE))


def test_a_completion_is_cut_behind_the_first_end_token_that_a_server_ran_over(plain: ModelText) -> None:
    one = drawn(plain, completion_prompt(), " return x<|endoftext|>never<|endoftext|>")
    assert (one.text, one.stop_reason) == (" return x", StopReason.STOP)
    assert plain.tokenizer.decode(one.tokens) == " return x<|endoftext|>"
    assert len(one.logprobs) == len(one.tokens)


def test_a_completion_is_cut_behind_the_token_that_completes_a_stop_string(plain: ModelText) -> None:
    one = drawn(plain, completion_prompt(stop=("\ndef ",)), " return x\ndef g():")
    assert (one.text, one.stop_reason) == (" return x", StopReason.STOP)
    assert plain.tokenizer.decode(one.tokens) == " return x\ndef "


def test_a_completion_that_ends_by_itself_has_the_server_s_reason(plain: ModelText) -> None:
    assert drawn(plain, completion_prompt(), " ret").stop_reason is StopReason.LENGTH
    assert drawn(plain, completion_prompt(), " ret", stopped=True).stop_reason is StopReason.STOP


def test_the_server_is_asked_to_stop_at_one_kind_of_thing(plain: ModelText) -> None:
    assert plain.stop(completion_prompt(stop=("\n", "#"))) == ["\n", "#"]
    assert plain.stop(completion_prompt()) == sorted(
        plain.tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    )


def test_the_end_of_reasoning_is_not_the_end_of_a_completion(channels: ModelText) -> None:
    ends = {channels.tokenizer.convert_ids_to_tokens(token) for token in channels.ends}
    assert ends == {"<|return|>", "<|endoftext|>"}
    thought = "<|channel|>analysis<|message|>let me think<|end|><|im_start|>assistant"
    raw = thought + "<|channel|>final<|message|>x + 1<|return|>"
    one = drawn(channels, chat(), raw)
    assert (one.text, one.reasoning) == ("x + 1", "let me think")
    assert channels.tokenizer.decode(one.tokens) == raw


def test_reasoning_that_runs_out_of_tokens_is_an_empty_answer(channels: ModelText) -> None:
    one = drawn(channels, chat(), "<|channel|>analysis<|message|>let me")
    assert (one.text, one.reasoning, one.stop_reason) == ("", "let me", StopReason.LENGTH)


def test_an_answer_that_is_begun_is_begun_in_the_final_channel(channels: ModelText) -> None:
    what = chat(prefill="class A:", stop=("\n#",))
    shown = channels.tokenizer.decode(channels.prompt(what))
    assert shown.endswith("<|im_start|>assistant<|channel|>final<|message|>class A:")
    one = drawn(channels, what, "\n  pass\n# end")
    assert (one.text, one.reasoning, one.stop_reason) == ("\n  pass", "", StopReason.STOP)


def test_a_chat_template_decides_the_kind_of_prompt(plain: ModelText, channels: ModelText) -> None:
    assert (plain.prompt_kind, channels.prompt_kind) == ("completion", "chat")
