"""A policy that answers from what a run has stored: `replay:RUN`.

No model is loaded: the samples of a run come back with their text, tokens and log-probabilities, so that another
evaluator, selector or analysis can be tried on exactly the same completions.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from assay.core.errors import UsageError
from assay.core.protocols import Capabilities, Draw, LoraConfig, Trainer
from assay.core.records import Prompt, Sample, SamplingParams, Scored, content_hash


class ReplayPolicy:
    """The stored samples of one run, or of one round of it."""

    def __init__(
        self, samples: Iterable[Sample], name: str = "replay", prompt_kind: Literal["completion", "chat"] = "completion"
    ) -> None:
        self._name = name
        self._prompt_kind: Literal["completion", "chat"] = prompt_kind
        self._base = ReplaySampler(samples, name)

    @property
    def name(self) -> str:
        """As given on the command line."""
        return self._name

    @property
    def device(self) -> str:
        """No device is kept busy."""
        return "cpu"

    @property
    def capabilities(self) -> Capabilities:
        """Samples what is stored; scores what is stored."""
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
        """As constructed: the kind that the stored run used."""
        return self._prompt_kind

    def base(self) -> "ReplaySampler":
        """The stored samples."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> Trainer:
        """Stored samples do not learn."""
        raise UsageError(f"{self.name} cannot be adapted; use a strategy that only samples, or a local model")

    async def close(self) -> None:
        """Nothing to release."""


class ReplaySampler:
    """Stored samples by task, in the order (round, index).

    Each call of `sample` goes on where the last one for that task ended; parameters and the prompt's text change
    nothing, since what was drawn was drawn.
    """

    def __init__(self, samples: Iterable[Sample], name: str) -> None:
        self._name = name
        self._by_task: dict[str, list[Sample]] = defaultdict(list)
        for sample in sorted(samples, key=lambda sample: (sample.round, sample.index)):
            self._by_task[sample.task_key].append(sample)
        self._given: dict[str, int] = defaultdict(int)
        stored = sorted(sample.id + sample.snapshot_id for items in self._by_task.values() for sample in items)
        self._id = content_hash("replay", *stored)

    @property
    def id(self) -> str:
        """A hash over which samples are stored."""
        return self._id

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        """The next `n` stored completions of the prompt's task; `UsageError` if fewer are left."""
        if n < 1:
            raise UsageError(f"{n} completions of {prompt.task_key} were asked for; ask for at least one")
        stored = self._by_task.get(prompt.task_key, [])
        first = self._given[prompt.task_key]
        if first + n > len(stored):
            raise UsageError(
                f"{self._name} holds {len(stored)} samples of {prompt.task_key}, {first} of them already given, and "
                f"{n} more were asked for; lower -K to at most {len(stored)}, or leave the task out"
            )
        self._given[prompt.task_key] = first + n
        drawn = stored[first : first + n]
        return Draw(drawn[0].prompt_tokens, tuple(sample.completion for sample in drawn))

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        """The stored log-probabilities of a stored completion; `UsageError` for any other, or topk > 0."""
        if topk > 0:
            raise UsageError(f"{self._name} has no top-k log-probabilities; use a local model")
        tokens = tuple(completion)
        for sample in self._by_task.get(prompt.task_key, []):
            if sample.completion.tokens == tokens:
                return Scored(tokens=tokens, logprobs=sample.completion.logprobs)
        raise UsageError(f"{self._name} holds no completion of {prompt.task_key} with these {len(tokens)} tokens")
