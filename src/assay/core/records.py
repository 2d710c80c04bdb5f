"""The records that cross module boundaries.

Stored records are frozen pydantic models and carry `schema_version`; `docs/records.md` describes each of them.
A missing number is None, never 0.0 and never NaN.
"""

import hashlib
import json
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA_VERSION = 1


def content_hash(*parts: str) -> str:
    """The first 16 hex digits of the SHA-256 of `parts`, length-prefixed so that no two lists collide."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(f"{len(data)}:".encode())
        digest.update(data)
    return digest.hexdigest()[:16]


class Record(BaseModel):
    """A frozen value that crosses modules."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredRecord(Record):
    """A record that is written to a run directory."""

    schema_version: int = SCHEMA_VERSION


# -- tasks and prompts ------------------------------------------------------------------------------------------


class Task(StoredRecord):
    """A reference program in the KernelBench form: `Model`, `get_inputs()`, `get_init_inputs()`.

    `scale` names the input sizes that `source` has; it is part of the identity, so that figures taken at different
    sizes never mix. `warnings` are what the task audit knows against the task.
    """

    suite: str
    id: str
    name: str
    source: str
    scale: str = "default"
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The identity that is stored and shown: `suite/id`, with `@scale` unless it is the default one."""
        suffix = "" if self.scale == "default" else f"@{self.scale}"
        return f"{self.suite}/{self.id}{suffix}"

    @property
    def hash(self) -> str:
        """The content hash of the reference source."""
        return content_hash(self.source)


class Suite(Record):
    """An ordered set of tasks with unique ids."""

    name: str
    tasks: tuple[Task, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [task.id for task in self.tasks]
        if len(ids) != len(set(ids)):
            twice = sorted({task_id for task_id in ids if ids.count(task_id) > 1})
            raise ValueError(f"suite {self.name!r} has task ids twice: {', '.join(twice)}")
        return self


class Message(Record):
    """One turn of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(StoredRecord):
    """What a policy is asked.

    kind = "completion": `text` is the whole prompt. kind = "chat": `messages` go through the tokenizer's chat template,
    and `prefill` (may be empty) is put at the start of the assistant's turn; the completion does not repeat it.
    `stop` are strings that end a completion; a stop string is not part of the completion's text.
    """

    task_key: str
    format: Literal["body", "module"]
    kind: Literal["completion", "chat"]
    text: str = ""
    messages: tuple[Message, ...] = ()
    prefill: str = ""
    stop: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Identity of the prompt's content."""
        messages = json.dumps([[m.role, m.content] for m in self.messages])
        return content_hash(self.format, self.kind, self.text, messages, self.prefill, json.dumps(self.stop))


# -- samples and candidates -------------------------------------------------------------------------------------


class SamplingParams(Record):
    """How a completion is drawn: at `temperature`, while log-probabilities are always reported at temperature 1."""

    temperature: float = Field(default=0.8, ge=0.0, le=10.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    max_tokens: int = Field(default=256, ge=1)
    seed: int = 0


class StopReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"  # a stop string or the end-of-text token
    LENGTH = "length"  # max_tokens or the model's context


class Completion(Record):
    """One completion as a sampler returns it.

    tokens: token ids of the completion, without the prompt, with an end-of-text token if one was drawn.
    logprobs: raw log-probabilities (temperature 1, full vocabulary) of `tokens`, same length.
    text: the completion up to, not including, a stop string.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    stop_reason: StopReason
    reasoning: str = ""  # text of channels that are not the answer, kept apart

    @model_validator(mode="after")
    def _one_logprob_a_token(self) -> Self:
        if len(self.tokens) != len(self.logprobs):
            raise ValueError(f"{len(self.tokens)} tokens with {len(self.logprobs)} log-probabilities")
        return self


class Scored(Record):
    """Raw log-probabilities of a given completion. `topk[t]` are (token, log-probability) pairs where asked for.

    prompt_tokens: length of the prompt that was read for it; None where the policy does not say.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    topk: tuple[tuple[tuple[int, float], ...], ...] = ()
    prompt_tokens: int | None = None


class Sample(StoredRecord):
    """One completion in a run: which task, which round, which draw, which snapshot of the policy."""

    id: str  # "<round>:<task key>:<index>"
    task_key: str
    round: int
    index: int  # 0 .. G-1 within (round, task)
    snapshot_id: str
    prompt_hash: str
    prompt_tokens: int
    params: SamplingParams
    completion: Completion

    @property
    def n_tokens(self) -> int:
        """Length of the completion in tokens."""
        return len(self.completion.tokens)

    @property
    def sum_logprob(self) -> float | None:
        """Sum of the raw log-probabilities; None for an empty completion."""
        return sum(self.completion.logprobs) if self.completion.logprobs else None

    @property
    def mean_logprob(self) -> float | None:
        """Mean raw log-probability a token; its negative is the surprisal. None for an empty completion."""
        return None if self.sum_logprob is None else self.sum_logprob / self.n_tokens


class Candidate(StoredRecord):
    """A whole Python module that defines `ModelNew`, identified by the hash of its source."""

    source: str

    @property
    def hash(self) -> str:
        """Identity of the program."""
        return content_hash(self.source)


class ParseFailure(Record):
    """No candidate could be taken out of a completion, and why."""

    reason: str


# -- evaluations ------------------------------------------------------------------------------------------------


class Status(StrEnum):
    """What became of a candidate. Only CORRECT candidates have a speedup."""

    CORRECT = "correct"
    WRONG_OUTPUT = "wrong_output"
    RUNTIME_ERROR = "runtime_error"
    BUILD_ERROR = "build_error"
    PARSE_ERROR = "parse_error"
    TIMEOUT = "timeout"
    REJECTED = "rejected"  # a rule was broken; `flags` says which


class Verdict(StrEnum):
    """What the measurement supports."""

    FASTER = "faster"
    SAME = "same"
    SLOWER = "slower"
    UNDECIDED = "undecided"


class Speedup(Record):
    """Reference time over candidate time.

    ratio: median over timed pairs; low, high: confidence interval that includes the variance between processes, at
    `level` (that of the look at which it was read; None under a rule that has no interval);
    margin: relative margin the interval was held against; pairs, replicates: how much was measured;
    raw: the ratio of means of the first five unpaired trials, which is what a point-estimate rule would have used.
    minimal_effect: smallest true relative gain that this measurement could have called `faster`, if known.
    """

    ratio: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    margin: float = Field(ge=0)
    pairs: int = Field(ge=1)
    replicates: int = Field(ge=1)
    raw: float = Field(gt=0)
    minimal_effect: float | None = None
    level: float | None = None

    @model_validator(mode="after")
    def _interval_holds_ratio(self) -> Self:
        if not self.low <= self.ratio <= self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] does not hold the ratio {self.ratio}")
        return self


class Provenance(Record):
    """Where and how an evaluation was made."""

    device: str
    sandbox: tuple[str, ...] = ()
    evaluator: str = "assay"
    facts: dict[str, Any] = Field(default_factory=dict)  # driver, clocks, load average, versions, stage seconds


class Evaluation(StoredRecord):
    """The judge's word on one candidate for one task."""

    task_key: str
    candidate_hash: str | None
    status: Status
    flags: tuple[str, ...] = ()
    verdict: Verdict | None = None
    speedup: Speedup | None = None
    candidate_ms: float | None = None
    reference_ms: float | None = None
    error: str = ""
    timed_calls: int = 0
    seconds: float = 0.0
    provenance: Provenance

    @model_validator(mode="after")
    def _fields_follow_status(self) -> Self:
        if self.status is not Status.CORRECT and (self.verdict is not None or self.speedup is not None):
            raise ValueError(f"an evaluation with status {self.status} has no verdict and no speedup")
        if self.verdict is not None and self.speedup is None:
            raise ValueError("a verdict needs the speedup that it was read from")
        if self.status is Status.REJECTED and not self.flags:
            raise ValueError("a rejection names its flags")
        if (self.candidate_hash is None) != (self.status is Status.PARSE_ERROR):
            raise ValueError("an evaluation has no candidate if and only if nothing could be parsed")
        return self

    @property
    def is_correct(self) -> bool:
        """The candidate computed what the reference computes, and broke no rule."""
        return self.status is Status.CORRECT

    @property
    def is_verified_faster(self) -> bool:
        """The measurement supports the claim that the candidate is faster."""
        return self.verdict is Verdict.FASTER


class Attempt(StoredRecord):
    """A sample with what was made of it."""

    sample: Sample
    candidate: Candidate | None
    evaluation: Evaluation
    reward: float | None = None
