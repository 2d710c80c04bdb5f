"""A language model on this machine, through torch and transformers.

Reproducibility: the same weights, prompt, parameters (with their seed), number of threads, device and library versions
give the same draw. Row i of a draw has random numbers of its own, a function of (seed, prompt, i): asking for more rows
or spreading them over more devices leaves a row as it was, except where the rounding of a different batch size tips a
draw that was on an edge.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from assay.core.protocols import Capabilities, LoraConfig
from assay.learning.losses import LOSSES
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.fused_step import can_fuse
from assay.policies.generation import install_shared_prefix
from assay.policies.models import Progress
from assay.policies.replicas import Replicas
from assay.policies.sampler import LocalSampler, context_tokens
from assay.policies.trainer import LocalTrainer
from assay.policies.weights import LoadedModel, load_copies


def load_local(
    spec: str, device: str = "cpu", threads: int | None = None, progress: Progress | None = None
) -> "LocalPolicy":
    """Loads a registered model or `local:...` as a policy.

    `device`: "cpu" or "cuda:N"; several with commas between them for a copy of the model on each; several joined by +
    for one copy that is spread over them, as a model too large for one needs. `threads`: how many CPU threads a
    computation may use; None leaves torch's own setting.
    Raises `UsageError` for a model or device that is not there or too small, `PolicyError` if a registered file cannot
    be had.
    """
    return LocalPolicy(*load_copies(spec, device.split(","), progress), threads=threads)


class LocalPolicy:
    """A loaded model, on one device or as a copy on each of several.

    Computations on a copy run one after another, in a worker thread; those on different copies run at once.
    """

    def __init__(self, *loaded: LoadedModel, threads: int | None = None) -> None:
        """`loaded`: copies of the same weights, each with a tokenizer of its own."""
        self._replicas = Replicas([_prepared(one) for one in loaded], threads)
        self._loaded = self._replicas.first.loaded
        self._base = self._replicas.base()

    @property
    def name(self) -> str:
        """The specification it was loaded from."""
        return self._loaded.name

    @property
    def device(self) -> str:
        """Where the weights lie: as for `load_local`."""
        return ",".join(replica.loaded.place for replica in self._replicas)

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
            can_distill=True,
            can_average=True,
        )

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """As registered; for other weights "chat" if the tokenizer has a chat template."""
        return self._loaded.prompt_kind

    def base(self) -> LocalSampler:
        """The model as it was loaded."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> LocalTrainer:
        """A new adapter on this model, untouched or from what a trainer saved in `start`.

        Raises `UsageError` if `start` was saved for another model or adapter shape.
        """
        trainer = await self._replicas.team.run(lambda check: LocalTrainer(self._replicas, lora))
        if start is not None:
            await trainer.load(start)
        return trainer

    async def close(self) -> None:
        """Forgets computed prompts; the weights go with the last reference to the policy."""
        self._base.forget()


def _prepared(loaded: LoadedModel) -> LoadedModel:
    """With attention to a shared prompt, and with captured steps, where family and device have them."""
    shares = install_shared_prefix(loaded.model)
    if loaded.decoder is None and shares and loaded.model.device.type == "cuda" and can_fuse(loaded.model):
        return replace(loaded, decoder=CapturedDecoder(loaded.model, capture=True))
    return loaded
