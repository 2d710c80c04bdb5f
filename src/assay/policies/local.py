"""A language model on this machine, through torch and transformers.

Reproducibility: the same weights, prompt, parameters (with their seed), number of threads, device and library versions
give the same draw. Row i of a draw has random numbers of its own, a function of (seed, prompt, i): asking for more rows
leaves the first ones as they were, except where the rounding of a different batch size tips a draw that was on an edge.
"""

from pathlib import Path
from typing import Literal

from assay.core.protocols import Capabilities, LoraConfig
from assay.learning.losses import LOSSES
from assay.policies.adapters import Adapters
from assay.policies.generation import install_shared_prefix
from assay.policies.models import Progress
from assay.policies.sampler import LocalSampler, Worker, context_tokens
from assay.policies.trainer import LocalTrainer
from assay.policies.weights import LoadedModel, load_weights


def load_local(
    spec: str, device: str = "cpu", threads: int | None = None, progress: Progress | None = None
) -> "LocalPolicy":
    """Loads a registered model or `local:...` as a policy.

    `threads`: how many CPU threads a computation may use; None leaves torch's own setting.
    Raises `UsageError` for a model or device that is not there, `PolicyError` if a registered file cannot be had.
    """
    return LocalPolicy(load_weights(spec, device, progress), threads=threads)


class LocalPolicy:
    """A loaded model. Computations of all its samplers run one after another, each in a worker thread."""

    def __init__(self, loaded: LoadedModel, threads: int | None = None) -> None:
        self._loaded = loaded
        self._worker = Worker(threads)
        install_shared_prefix(loaded.model)
        self._adapters = Adapters(loaded.model)
        self._base = LocalSampler(
            loaded,
            self._worker,
            identity=loaded.identity,
            activate=lambda: self._adapters.only(None),
            name="base",
        )

    @property
    def name(self) -> str:
        """The specification it was loaded from."""
        return self._loaded.name

    @property
    def device(self) -> str:
        """Where the weights lie."""
        return str(self._loaded.model.device)

    @property
    def capabilities(self) -> Capabilities:
        """Samples, scores and trains, with full logits."""
        return Capabilities(
            can_train=True,
            can_score=True,
            topk=self._loaded.model.config.get_text_config(decoder=True).vocab_size,
            has_full_logits=True,
            losses=tuple(LOSSES),
            logprobs="raw",
            reduction="sum",
            context_tokens=context_tokens(self._loaded),
        )

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """As registered; for other weights "chat" if the tokenizer has a chat template."""
        return self._loaded.prompt_kind

    def base(self) -> "LocalSampler":
        """The model as it was loaded."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> LocalTrainer:
        """A new adapter on this model, untouched or from what a trainer saved in `start`.

        Raises `UsageError` if `start` was saved for another model or adapter shape.
        """
        trainer = await self._worker.run(
            lambda check: LocalTrainer(self._loaded, self._worker, self._adapters, lora), gradients=True
        )
        if start is not None:
            await trainer.load(start)
        return trainer

    async def close(self) -> None:
        """Forgets computed prompts; the weights go with the last reference to the policy."""
        self._base.forget()
