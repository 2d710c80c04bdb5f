"""Tokens to text and back: prompts, end marks, and stop strings that are found while tokens are drawn."""

from collections.abc import Sequence
from typing import Any

from assay.core.errors import UsageError
from assay.core.records import Prompt

END_MARKS = (
    "<|endoftext|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|end_of_text|>",
    "<|end|>",
    "</s>",
    "<eos>",
    "<end_of_turn>",
)
CONTEXT_TOKENS = 5
UNFINISHED = "\ufffd"


def prompt_tokens(tokenizer: Any, prompt: Prompt) -> tuple[int, ...]:
    """The token ids of a prompt.

    A completion prompt gets what the tokenizer puts before any text (a beginning mark, or nothing). A chat prompt goes
    through the chat template, up to and including the opening of the assistant's turn, then `prefill`.
    Raises `UsageError` for an empty prompt, or a chat prompt where there is no template.
    """
    if prompt.kind == "completion":
        ids = tokenizer.encode(prompt.text)
    else:
        if getattr(tokenizer, "chat_template", None) is None:
            raise UsageError(
                f"the prompt of {prompt.task_key} is a chat, but this model's tokenizer has no chat template"
            )
        messages = [{"role": message.role, "content": message.content} for message in prompt.messages]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.encode(text + prompt.prefill, add_special_tokens=False)
    if not ids:
        raise UsageError(f"the prompt of {prompt.task_key} is empty; a model needs at least one token to go on from")
    return tuple(ids)


def end_tokens(tokenizer: Any, *configs: Any) -> frozenset[int]:
    """All tokens that end a completion: those the configurations name, and the well-known marks in the vocabulary.

    Both are needed: a converted checkpoint often names the end of a chat turn only, and a completion of raw text ends
    with the end-of-text mark.
    """
    ends: set[int] = set()
    for config in configs:
        named = getattr(config, "eos_token_id", None)
        ends.update([named] if isinstance(named, int) else named or [])
    if tokenizer.eos_token_id is not None:
        ends.add(tokenizer.eos_token_id)
    marks = set(END_MARKS) & set(tokenizer.all_special_tokens + list(tokenizer.get_added_vocab()))
    ends.update(tokenizer.convert_tokens_to_ids(sorted(marks)))
    return frozenset(ends)


class Detokenizer:
    """The text of a growing completion, and whether a stop string has appeared in it.

    Each token decodes only the last few: what comes before is fixed once it decodes to whole characters. Decoding goes
    on from the prompt's last tokens, because some tokenizers drop a leading space at the start of a text.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int], stop: Sequence[str]) -> None:
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._ids = list(prompt[-CONTEXT_TOKENS:])
        self._context = len(self._ids)
        self._start, self._read = 0, self._context
        self._text = ""

    def push(self, token: int) -> bool:
        """Takes one more token; True if the text now holds a stop string."""
        self._ids.append(token)
        if not self._stop:
            return False
        known = self._decode(self._ids[self._start : self._read])
        longer = self._decode(self._ids[self._start :])
        if len(longer) <= len(known) or longer.endswith(UNFINISHED):
            return False
        new = longer[len(known) :]
        self._start, self._read = self._read, len(self._ids)
        longest = max(map(len, self._stop))
        tail = self._text[-longest:] + new
        self._text += new
        return any(stop in tail for stop in self._stop)

    def push_all(self, tokens: Sequence[int]) -> int | None:
        """Takes several tokens at the price of one; the place of the first that completes a stop string, or None.

        Tokens after that place are not taken.
        """
        before = (len(self._ids), self._start, self._read, self._text)
        self._ids += tokens
        if not self._stop or not tokens:
            return None
        known = self._decode(self._ids[self._start : self._read])
        longer = self._decode(self._ids[self._start :])
        tail = self._text[-max(map(len, self._stop)) :] + longer[len(known) :]
        if len(longer) > len(known) and not longer.endswith(UNFINISHED) and not any(s in tail for s in self._stop):
            self._start, self._read = self._read, len(self._ids)
            self._text += longer[len(known) :]
            return None
        count, self._start, self._read, self._text = before
        del self._ids[count:]
        return next((place for place, token in enumerate(tokens) if self.push(token)), None)

    def text(self) -> str:
        """The whole completion, up to and not including the first stop string."""
        known = self._decode(self._ids[: self._context])
        text = self._decode(self._ids)[len(known) :]
        cuts = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        return text[: min(cuts)] if cuts else text

    def _decode(self, ids: list[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
