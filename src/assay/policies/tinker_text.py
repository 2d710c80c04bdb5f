"""Text and tokens of a model at a Tinker server: the prompt as tokens, where a completion ends, and its answer.

Servers end a completion either at stop strings or at end tokens, some not at both, so both are looked for here again.
gpt-oss speaks in channels: its reasoning ends with a mark that ends a turn elsewhere, and an answer that is begun for
it has to be begun in the channel `final`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from transformers import AutoTokenizer

from assay.core.records import Completion, Prompt, StopReason
from assay.policies.renderers import answer_apart
from assay.policies.text import Detokenizer, end_tokens, prompt_tokens

_CHANNEL_MARKS = ("<|channel|>", "<|message|>")
_FINAL = "<|channel|>final<|message|>"
_CHANNEL_ENDS = ("<|return|>", "<|call|>", "<|endoftext|>")


def tokenizer_of(model: str, client: Any) -> Any:
    """The tokenizer in a local folder of that name, else the one that the SDK finds for a sampling client."""
    folder = Path(model).expanduser()
    return AutoTokenizer.from_pretrained(folder) if folder.is_dir() else client.get_tokenizer()


class ModelText:
    """What a tokenizer makes of prompts and completions."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        vocabulary = tokenizer.get_added_vocab()
        self.has_channels = all(mark in vocabulary for mark in _CHANNEL_MARKS)
        if self.has_channels:
            marks = [mark for mark in _CHANNEL_ENDS if mark in vocabulary]
            self.ends = frozenset(tokenizer.convert_tokens_to_ids(marks))
        else:
            self.ends = end_tokens(tokenizer)

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """Chat where there is a template."""
        return "chat" if getattr(self.tokenizer, "chat_template", None) else "completion"

    def prompt(self, prompt: Prompt) -> tuple[int, ...]:
        """The token ids of a prompt. Raises `UsageError` as `prompt_tokens` does."""
        if self.has_channels and prompt.prefill:
            prompt = prompt.model_copy(update={"prefill": _FINAL + prompt.prefill})
        return prompt_tokens(self.tokenizer, prompt)

    def stop(self, prompt: Prompt) -> list[str] | list[int]:
        """What the server is asked to stop at: one kind only, and strings where there are any."""
        return list(prompt.stop) if prompt.stop else sorted(self.ends)

    def completion(
        self, prompt: Prompt, ids: Sequence[int], tokens: Sequence[int], logprobs: Sequence[float], stopped: bool
    ) -> Completion:
        """What was drawn after `ids`, cut behind the first end token or the token that completes a stop string."""
        seen = Detokenizer(self.tokenizer, ids, prompt.stop)
        length = len(tokens)
        for place, token in enumerate(tokens):
            if seen.push(token) or token in self.ends:
                length, stopped = place + 1, True
                break
        completion = Completion(
            tokens=tuple(tokens[:length]),
            logprobs=tuple(logprobs[:length]),
            text=seen.text(),
            stop_reason=StopReason.STOP if stopped else StopReason.LENGTH,
        )
        if prompt.kind == "completion":
            return completion
        if self.has_channels and not prompt.prefill:
            marked = self.tokenizer.decode(tokens[:length], skip_special_tokens=False)
            completion = completion.model_copy(update={"text": marked})
        return answer_apart(completion)
