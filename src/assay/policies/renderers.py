"""Chat prompts as text, by the tokenizer's own template; and answers taken apart from the reasoning before them.

Reasoning comes in three forms: `<think> ... </think>` (the template may have opened it, so that only the end is
drawn), gpt-oss's channels with their marks (`<|channel|>analysis<|message|> ... <|end|>`), and the same channels where
a server has removed the marks (`analysis ... assistantfinal ...`). A text that is all reasoning has an empty answer.
"""

import re
from typing import Any

from assay.core.errors import UsageError
from assay.core.records import Completion, Prompt

_THINK_START, _THINK_END = "<think>", "</think>"
_CHANNEL = re.compile(
    r"(?:<\|start\|>assistant)?(?:<\|channel\|>(?P<channel>\w+)[^<]*(?:<\|constrain\|>[^<]*)?)?<\|message\|>"
    r"(?P<content>.*?)(?:<\|end\|>|<\|return\|>|<\|call\|>|\Z)",
    re.DOTALL,
)
_BARE_START = "analysis"
_BARE_FINAL = "assistantfinal"


def chat_text(tokenizer: Any, prompt: Prompt) -> str:
    """A chat prompt as the text that the model goes on from, its begun assistant turn included.

    tokenizer: of transformers. A beginning mark that the tokenizer puts before every text is left out, since a server
    adds it again. UsageError where there is no template.
    """
    if getattr(tokenizer, "chat_template", None) is None:
        raise UsageError(f"the prompt of {prompt.task_key} is a chat, but this model's tokenizer has no chat template")
    messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) + prompt.prefill
    mark = tokenizer.bos_token
    if mark and text.startswith(mark) and tokenizer.encode("")[:1] == [tokenizer.bos_token_id]:
        return text.removeprefix(mark)
    return text


def split_reasoning(text: str) -> tuple[str, str]:
    """`text` as (answer, reasoning); (text, "") if it holds no reasoning."""
    if "<|message|>" in text:
        return _channels(text)
    stripped = text.lstrip()
    if stripped.startswith(_BARE_START) and _BARE_FINAL in stripped:
        reasoning, _, answer = stripped.removeprefix(_BARE_START).partition(_BARE_FINAL)
        return answer, reasoning
    if stripped.startswith(_THINK_START):
        reasoning, _, answer = stripped.removeprefix(_THINK_START).partition(_THINK_END)
        return answer.lstrip("\n"), reasoning
    if _THINK_END in text and _THINK_START not in text:
        reasoning, _, answer = text.partition(_THINK_END)
        return answer.lstrip("\n"), reasoning
    return text, ""


def _channels(text: str) -> tuple[str, str]:
    """The channel `final`, or a message without a channel, is the answer; every other channel is reasoning."""
    answers: list[str] = []
    thoughts: list[str] = []
    for found in _CHANNEL.finditer(text):
        is_answer = found["channel"] in ("final", None)
        (answers if is_answer else thoughts).append(found["content"])
    return "".join(answers), "\n".join(thoughts)


def answer_apart(completion: Completion) -> Completion:
    """`completion` with its text cut down to the answer and the reasoning kept beside; tokens stay as they were drawn.

    A completion whose reasoning a server has taken apart already is given back as it is.
    """
    answer, reasoning = split_reasoning(completion.text)
    if not reasoning and answer == completion.text:
        return completion
    kept = "\n".join(part for part in (completion.reasoning, reasoning) if part)
    return completion.model_copy(update={"text": answer, "reasoning": kept})
