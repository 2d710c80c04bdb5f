"""Adapting a model at a Tinker server: the weights, the gradient and Adam are the server's, the rest is here.

A step has its forward-backward pass and its Adam update under way at once, so that the server goes from one to the
other without waiting for the network. Its identity is a hash of all updates since the base model: the same updates from
the same start give the same id, on any day and after any interruption.
"""

import asyncio
import json
import logging
import math
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from assay.core.errors import NotFiniteError, PolicyError, UsageError
from assay.core.protocols import AdamConfig, LoraConfig, LossName, StepReport, TrainItem
from assay.core.records import content_hash
from assay.policies.tinker_data import check_items, request, summed
from assay.policies.tinker_facts import ServerFacts, gradient_norm, sdk_data
from assay.policies.tinker_readers import Readers
from assay.policies.tinker_sampler import Endpoint, Lease, TinkerSampler
from assay.policies.tinker_sdk import unique_name

STATE_FILE = "tinker.json"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """What all trainers of a policy share."""

    endpoint: Endpoint
    facts: ServerFacts
    readers: Readers
    base: TinkerSampler


class TinkerTrainer:
    """One adapter at the server, with its optimizer."""

    def __init__(self, bench: Bench, client: Any, lora: LoraConfig) -> None:
        """`client`: the SDK's training client of a new adapter."""
        self._bench, self._client, self._lora = bench, client, lora
        self._connection = bench.endpoint.connection
        self._lineage = bench.base.id
        self._saved: tuple[str, str] | None = None  # lineage, path of the training state
        self._snapshot: TinkerSampler | None = None
        self._broken = ""

    async def step(self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> StepReport:
        """One Adam update on the sum of `loss` over all unmasked tokens of `items`.

        Raises `UsageError` for items that cannot be learned from, `NotFiniteError` where they or the loss are not
        finite, `PolicyError` where a request failed. After the last two this trainer makes no further step: the
        server may have moved its weights, and only `load` brings them back.
        """
        self._check_whole()
        check_items(items, loss)
        if adam.max_grad_norm is None or self._bench.facts.clips:
            report = await self._update(items, items, loss, adam)
        else:
            report = await self._clipped_update(items, loss, adam, adam.max_grad_norm)
        self._lineage = _next_lineage(self._lineage, self._lora, items, loss, adam)
        self._snapshot = None
        return report

    async def snapshot(self, name: str) -> TinkerSampler:
        """The current weights; `name` is for messages, and the id follows the updates alone."""
        self._check_whole()
        if self._lineage == self._bench.base.id:
            return self._bench.base
        if self._snapshot is None:
            self._snapshot = TinkerSampler(self._bench.endpoint, self._lineage, await self._lease())
        return self._snapshot

    async def save(self, directory: Path) -> None:
        """Has weights and optimizer saved at the server, and writes where; the folder appears whole."""
        self._check_whole()
        facts = {**self._facts(), "lineage": self._lineage, "state": await self._state(), "lora": asdict(self._lora)}
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            (staging / STATE_FILE).write_text(json.dumps(facts, indent=2) + "\n")
            if directory.exists():
                shutil.rmtree(directory)
            staging.rename(directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    async def load(self, directory: Path) -> None:
        """Goes on from what `save` wrote.

        Raises `UsageError` if it is not there or of another model, server or rank, `PolicyError` if the server no
        longer has it.
        """
        try:
            facts = json.loads((directory / STATE_FILE).read_text())
            lineage, state = str(facts["lineage"]), str(facts["state"])
        except (OSError, json.JSONDecodeError, KeyError) as error:
            raise UsageError(
                f"{directory} holds no saved trainer of a Tinker server ({error}); give a folder that a run saved"
            ) from error
        different = [key for key, value in self._facts().items() if facts.get(key) != value]
        if different:
            raise UsageError(
                f"{directory} was saved for another {', '.join(different)}; load it with the same --model and adapter "
                f"settings ({ {key: facts.get(key) for key in different} })"
            )
        await self._load_state(state)
        self._lineage, self._saved, self._snapshot, self._broken = lineage, (lineage, state), None, ""

    async def _clipped_update(
        self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig, limit: float
    ) -> StepReport:
        """For servers that do not clip: a trial step that moves nothing says the norm, and the real one is scaled.

        Exact, since every loss is linear in its advantages; Adam's moments are put back in between.
        """
        state = await self._state()
        trial = await self._update(items, items, loss, replace(adam, learning_rate=0.0))
        await self._load_state(state)
        if trial.grad_norm is None:
            log.warning("%s neither clips gradients nor reports their norm", self._bench.endpoint.spec)
        scale = 1.0 if not trial.grad_norm else min(1.0, limit / trial.grad_norm)
        scaled = [replace(item, advantages=tuple(scale * a for a in item.advantages)) for item in items]
        report = await self._update(items, scaled, loss, adam)
        return replace(report, grad_norm=trial.grad_norm)

    async def _update(
        self, items: Sequence[TrainItem], sent: Sequence[TrainItem], loss: LossName, adam: AdamConfig
    ) -> StepReport:
        """One pass and one step on `sent`; the report is about `items`."""
        sdk = self._connection.sdk
        prompts = {item.prompt.hash: self._bench.endpoint.text.prompt(item.prompt) for item in items}
        wanted = request(sent, [prompts[item.prompt.hash] for item in items], loss, self._bench.facts.reduction)
        self._broken = "an update was cut off"
        passed = self._client.forward_backward(sdk_data(sdk, wanted.rows), wanted.loss, wanted.config)
        stepped = self._client.optim_step(_adam_params(sdk, adam))
        try:
            # Both are waited for even if one fails: the server makes the step all the same.
            done, moved = await asyncio.gather(
                self._connection.answer(passed, "the forward-backward pass"),
                self._connection.answer(stepped, "the optimizer step"),
                return_exceptions=True,
            )
            if isinstance(done, BaseException):
                raise done
            if isinstance(moved, BaseException):
                raise moved
            total, kl, tokens = summed(items, [one["logprobs"].data for one in done.loss_fn_outputs], loss)
            norm = gradient_norm(moved.metrics)
            if not all(math.isfinite(value) for value in (total, norm or 0.0)):
                raise NotFiniteError(
                    f"loss {total} and gradient norm {norm} are not finite; the server's weights are not used again"
                )
        except (PolicyError, UsageError) as error:
            self._broken = str(error)
            raise
        self._broken = ""
        return StepReport(loss=total, grad_norm=norm, kl=kl, tokens=tokens)

    async def _lease(self) -> Lease:
        """The current weights, saved in a way in which this server does not change them."""
        if self._bench.facts.keeps_snapshots:
            saved = self._client.save_weights_for_sampler(unique_name())
            path = (await self._connection.answer(saved, "saving sampler weights")).path
            client = await self._connection.saved_client(path)
            return lambda: nullcontext(client)
        state, rank = await self._state(), self._lora.rank
        return lambda: self._bench.readers.lease(state, rank)

    async def _state(self) -> str:
        """Where the server keeps the current weights and optimizer; saved once for the same updates."""
        if self._saved is None or self._saved[0] != self._lineage:
            saved = await self._connection.answer(self._client.save_state(unique_name()), "saving the training state")
            self._saved = (self._lineage, saved.path)
        return self._saved[1]

    async def _load_state(self, path: str) -> None:
        await self._connection.answer(self._client.load_state_with_optimizer(path), f"loading {path}")

    def _facts(self) -> dict[str, object]:
        return {"model": self._connection.address.model, "rank": self._lora.rank}

    def _check_whole(self) -> None:
        if self._broken:
            raise PolicyError(
                f"the adapter at {self._bench.endpoint.spec} is in an unknown state ({self._broken}); "
                "go on from the last saved one, with assay resume"
            )


def _adam_params(sdk: Any, adam: AdamConfig) -> Any:
    return sdk.types.AdamParams(
        learning_rate=adam.learning_rate,
        beta1=adam.beta1,
        beta2=adam.beta2,
        eps=adam.epsilon,
        weight_decay=adam.weight_decay,
        grad_clip_norm=adam.max_grad_norm or 0.0,
    )


def _next_lineage(lineage: str, lora: LoraConfig, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> str:
    learned = [[item.prompt.hash, item.tokens, item.behaviour_logprobs, item.advantages, item.mask] for item in items]
    return content_hash(lineage, json.dumps(asdict(lora)), loss, json.dumps(asdict(adam)), json.dumps(learned))
