import pytest

from assay.core.errors import UsageError
from assay.core.records import Completion, Message, Prompt, StopReason
from assay.policies.renderers import answer_apart, chat_text, split_reasoning


@pytest.mark.parametrize(
    ("text", "answer", "reasoning"),
    [
        ("return x", "return x", ""),
        ("", "", ""),
        ("<think>\nfirst\n</think>\n\nreturn x", "return x", "\nfirst\n"),
        ("first\n</think>\n\nreturn x", "return x", "first\n"),
        ("  <think>never ends", "", "never ends"),
        ("analysisfirstassistantfinalreturn x", "return x", "first"),
        ("analysis of x\nreturn x", "analysis of x\nreturn x", ""),
        (
            "<|channel|>analysis<|message|>first<|end|><|start|>assistant<|channel|>final<|message|>return x<|return|>",
            "return x",
            "first",
        ),
        ("<|channel|>analysis<|message|>cut off", "", "cut off"),
        (
            "<|channel|>commentary to=python <|constrain|>json<|message|>{}<|call|>"
            "<|start|>assistant<|channel|>final<|message|>done",
            "done",
            "{}",
        ),
        ("<|message|>no channel<|end|>", "no channel", ""),
    ],
)
def test_reasoning_is_taken_apart_from_the_answer(text, answer, reasoning):
    assert split_reasoning(text) == (answer, reasoning)


def test_tokens_stay_with_the_sample_and_the_reasoning_is_kept():
    drawn = Completion(tokens=(1, 2), logprobs=(-1.0, -2.0), text="a</think>b", stop_reason=StopReason.STOP)
    apart = answer_apart(drawn)
    assert (apart.text, apart.reasoning, apart.tokens, apart.logprobs) == ("b", "a", (1, 2), (-1.0, -2.0))
    assert answer_apart(apart) == apart


def test_what_a_server_has_taken_apart_stays_as_it_is():
    drawn = Completion(tokens=(), logprobs=(), text="b", stop_reason=StopReason.STOP, reasoning="a")
    assert answer_apart(drawn) is drawn


class Template:
    """What a tokenizer of transformers offers for chats."""

    bos_token, bos_token_id = "<s>", 1

    def __init__(self, chat_template: str | None = "there", adds_mark: bool = True) -> None:
        self.chat_template, self.adds_mark = chat_template, adds_mark

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize and add_generation_prompt
        return "<s>" + "".join(f"[{m['role']}]{m['content']}" for m in messages) + "[assistant]"

    def encode(self, text: str) -> list[int]:
        return [1] if self.adds_mark else []


CHAT = Prompt(
    task_key="t/1", format="body", kind="chat", messages=(Message(role="user", content="hi"),), prefill="def "
)


def test_a_beginning_mark_that_the_server_adds_is_not_sent_twice():
    assert chat_text(Template(), CHAT) == "[user]hi[assistant]def "
    assert chat_text(Template(adds_mark=False), CHAT) == "<s>[user]hi[assistant]def "


def test_a_tokenizer_without_a_template_is_named():
    with pytest.raises(UsageError, match="t/1 is a chat"):
        chat_text(Template(chat_template=None), CHAT)
