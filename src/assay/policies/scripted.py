"""A policy that answers from a file: `scripted:FILE`.

The file is JSON or TOML (by its suffix) and holds one table, `completions`. Its keys are task keys, or "*" for all
tasks that have no entry of their own. Each value is a list whose items are a text, or a table with

    text       what the model answers (required)
    weight     how often it is drawn, relative to the others of its list (default 1)
    logprobs   raw log-probabilities, one for each token of the text (default: those of the script as a distribution)
    stop       "stop" (default) or "length"

    {"completions": {"*": ["return x @ y"],
                     "starter/01_relu": [{"text": "return x.clamp(min=0)", "weight": 3, "logprobs": [-0.1, ...]}]}}

A token of a scripted completion is one byte of its UTF-8 text, so that token counts, log-probabilities and scores can
be worked out by hand. By default a token's log-probability is log(w' / w), where w is the weight of all completions of
the list that start with the tokens before it, and w' of those that start with them and with it; so a completion that
is no start of another has the log of its share as its sum.

Draws follow the weights, the prompt and the seed (temperature and top-p change nothing, except that temperature 0
takes the completion of the greatest weight, the first of equals). A completion is cut at the prompt's
stop strings and at `max_tokens`, as a model's would be.
"""

import json
import math
import random
import tomllib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from assay.core.errors import UsageError
from assay.core.protocols import Capabilities, Draw, LoraConfig, Trainer
from assay.core.records import Completion, Prompt, SamplingParams, Scored, StopReason, content_hash

ANY_TASK = "*"


class ScriptedCompletion(BaseModel):
    """One answer of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    weight: float = Field(default=1.0, gt=0)
    logprobs: tuple[Annotated[float, Field(le=0)], ...] | None = None
    stop: Literal["stop", "length"] = "stop"

    @model_validator(mode="after")
    def _one_logprob_a_byte(self) -> "ScriptedCompletion":
        if self.logprobs is not None and len(self.logprobs) != len(self.text.encode()):
            raise ValueError(f"{len(self.text.encode())} bytes of text with {len(self.logprobs)} log-probabilities")
        return self


class Script(BaseModel):
    """The whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    completions: dict[str, tuple[ScriptedCompletion, ...]]

    @model_validator(mode="before")
    @classmethod
    def _a_text_is_a_completion(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("completions"), dict):
            return data
        tables = {
            key: [{"text": item} if isinstance(item, str) else item for item in items]
            if isinstance(items, list)
            else items
            for key, items in data["completions"].items()
        }
        return {**data, "completions": tables}

    @model_validator(mode="after")
    def _no_list_is_empty(self) -> "Script":
        empty = [key for key, items in self.completions.items() if not items]
        if empty or not self.completions:
            raise ValueError(f"no completions for {', '.join(empty) or 'any task'}")
        return self


def load_script(path: Path) -> "ScriptedPolicy":
    """Reads a script; `UsageError` if it is missing, not JSON or TOML, or does not have the documented form."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the script {path} cannot be read ({error}); give a .json or .toml file") from error
    try:
        data = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
        script = Script.model_validate(data)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, ValidationError) as error:
        raise UsageError(f"the script {path} does not have the form of a script: {error}") from error
    return ScriptedPolicy(script, name=f"scripted:{path}")


@dataclass(frozen=True)
class _Choice:
    """One distinct token sequence that can be drawn after a prompt."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    stop_reason: StopReason
    weight: float


class ScriptedPolicy:
    """Answers from a `Script`; samples and scores, and cannot be trained."""

    def __init__(
        self, script: Script, name: str = "scripted", prompt_kind: Literal["completion", "chat"] = "completion"
    ) -> None:
        self._name = name
        self._prompt_kind: Literal["completion", "chat"] = prompt_kind
        self._base = ScriptedSampler(script)

    @property
    def name(self) -> str:
        """As given on the command line."""
        return self._name

    @property
    def device(self) -> str:
        """No device is kept busy; "cpu" as for everything that runs here."""
        return "cpu"

    @property
    def capabilities(self) -> Capabilities:
        """Samples and scores scripted completions."""
        return Capabilities(
            can_train=False,
            can_score=True,
            topk=0,
            has_full_logits=False,
            losses=(),
            logprobs="raw",
            reduction="sum",
            context_tokens=None,
        )

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """As constructed."""
        return self._prompt_kind

    def base(self) -> "ScriptedSampler":
        """The script."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> Trainer:
        """A script does not learn."""
        raise UsageError(f"{self.name} cannot be adapted; use a strategy that only samples, or a local model")

    async def close(self) -> None:
        """Nothing to release."""


class ScriptedSampler:
    """The script as a snapshot."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._id = content_hash("script", script.model_dump_json())

    @property
    def id(self) -> str:
        """A hash of the script's content."""
        return self._id

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """`n` weighted draws; row i depends on (seed, prompt, i) only."""
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        choices = self._choices(prompt)
        greedy = max(choices, key=lambda choice: choice.weight)
        drawn = [greedy if params.temperature == 0 else _draw(choices, params.seed, prompt, row) for row in range(n)]
        return Draw(_prompt_length(prompt), tuple(_cut(choice, prompt.stop, params.max_tokens) for choice in drawn))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """The script's log-probabilities of a completion that it holds, or of the start of one.

        Raises `UsageError` for a completion that the script does not give, or topk > 0.
        """
        if topk > 0:
            raise UsageError("a scripted policy has no top-k log-probabilities; use a local model")
        tokens = tuple(completion)
        for choice in self._choices(prompt):
            if choice.tokens[: len(tokens)] == tokens:
                return Scored(tokens=tokens, logprobs=choice.logprobs[: len(tokens)])
        raise UsageError(f"the script holds no completion of {prompt.task_key} that starts with {bytes(tokens)!r}")

    def _choices(self, prompt: Prompt) -> list[_Choice]:
        items = self._script.completions.get(prompt.task_key, self._script.completions.get(ANY_TASK))
        if items is None:
            raise UsageError(f"the script has no completions for {prompt.task_key}; add that key, or {ANY_TASK!r}")
        weight_of: dict[bytes, float] = defaultdict(float)
        for item in items:
            data = item.text.encode()
            for length in range(len(data) + 1):
                weight_of[data[:length]] += item.weight
        return [_choice(item, weight_of) for item in items]


def _choice(item: ScriptedCompletion, weight_of: dict[bytes, float]) -> _Choice:
    """`weight_of` has, for each start of any completion, the weight of all completions that start so."""
    data = item.text.encode()
    logprobs = item.logprobs
    if logprobs is None:
        logprobs = tuple(math.log(weight_of[data[: i + 1]] / weight_of[data[:i]]) for i in range(len(data)))
    return _Choice(tuple(data), logprobs, item.text, StopReason(item.stop), item.weight)


def _draw(choices: list[_Choice], seed: int, prompt: Prompt, row: int) -> _Choice:
    generator = random.Random(content_hash(str(seed), prompt.hash, str(row)))
    return generator.choices(choices, weights=[choice.weight for choice in choices])[0]


def _cut(choice: _Choice, stop: tuple[str, ...], max_tokens: int) -> Completion:
    """Ends a completion as a model's would end: with the token that completes the first stop string, or by length."""
    ends = [place + len(mark) for mark in stop if (place := choice.text.find(mark)) >= 0]
    length = len(choice.text[: min(ends)].encode()) if ends else len(choice.tokens)
    reason = StopReason.STOP if ends else choice.stop_reason
    if length > max_tokens:
        length, reason = max_tokens, StopReason.LENGTH
    tokens = choice.tokens[:length]
    text = bytes(tokens).decode(errors="replace")
    cuts = [place for mark in stop if (place := text.find(mark)) >= 0]
    return Completion(
        tokens=tokens,
        logprobs=choice.logprobs[:length],
        text=text[: min(cuts)] if cuts else text,
        stop_reason=reason,
    )


def _prompt_length(prompt: Prompt) -> int:
    """The prompt's length in bytes, which are this policy's tokens."""
    return len((prompt.text + "".join(m.content for m in prompt.messages) + prompt.prefill).encode())
