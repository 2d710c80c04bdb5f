"""Adapting a local model: low-rank adapters, Adam, and the losses of `assay.learning.losses`.

One step sums the loss over all its items and makes one update. Several replicas of the model have a share of the items
each; the first one adds up the gradients and makes the update, and the others take over its weights, bit for bit.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from assay.core.errors import NotFiniteError, UsageError
from assay.core.protocols import AdamConfig, DistillItem, LoraConfig, LossName, StepReport, TrainItem
from assay.core.records import content_hash
from assay.learning.losses import LOSSES
from assay.policies.adapters import AdapterWeights
from assay.policies.gradients import GradientPass, Objective, Sums, divergence_loss, policy_loss, shares
from assay.policies.replicas import Replicas
from assay.policies.sampler import LocalSampler
from assay.policies.worker import Check


class LocalTrainer:
    """A trainer with an adapter and an optimizer of its own on the shared base model."""

    def __init__(self, replicas: Replicas, lora: LoraConfig) -> None:
        """Called while no replica computes anything."""
        self._replicas = replicas
        self._team = replicas.team
        self._lora = lora
        self._names = replicas.add_adapter(lora)
        self._passes = [
            GradientPass(replica.loaded, replica.adapters, name)
            for replica, name in zip(replicas, self._names, strict=True)
        ]
        self._parameters = self._passes[0].parameters
        self._optimizer = torch.optim.AdamW(list(self._parameters.values()))
        self._average: dict[str, Tensor] | None = None

    async def step(self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> StepReport:
        """One Adam update on the sum of `loss` over all unmasked tokens of `items`.

        Raises `UsageError` for items without an unmasked token or with unequal lengths, `NotFiniteError` if the
        gradient is not finite; the weights are then as before.
        """
        _check(items, loss)
        objective = partial(policy_loss, loss)
        return await self._team.run(lambda check: self._step(items, objective, adam, check))

    async def distill(self, items: Sequence[DistillItem], alpha: float, adam: AdamConfig) -> StepReport:
        """One Adam update on the summed divergence from the items' targets; errors as for `step`."""
        _check_targets(items)
        objective = partial(divergence_loss, alpha)
        return await self._team.run(lambda check: self._step(items, objective, adam, check))

    async def average(self, rate: float) -> None:
        """Moves the average of the weights by `rate` of the way to the current ones; the first call starts it there."""

        def move(check: Check) -> None:
            current = self._copy()
            before = self._average or current
            self._average = {key: tensor.lerp(current[key], rate) for key, tensor in before.items()}

        await self._team.run(move)

    async def averaged(self, name: str) -> LocalSampler:
        """The average as an immutable sampler; the current weights where there is none yet."""
        average = self._average
        if average is None:
            return await self.snapshot(name)
        return await self._team.run(lambda check: self._sampler(average, name))

    async def gradient(self, items: Sequence[TrainItem], loss: LossName) -> dict[str, Tensor]:
        """The gradient that a step would use, by parameter, before clipping; nothing changes."""
        _check(items, loss)

        def compute(check: Check) -> dict[str, Tensor]:
            with self._accumulated(items, partial(policy_loss, loss), check):
                return {key: p.grad.clone() for key, p in self._parameters.items() if p.grad is not None}

        return await self._team.run(compute)

    async def snapshot(self, name: str) -> LocalSampler:
        """The current weights; `name` is for messages, and the id follows the weights alone."""
        return await self._team.run(lambda check: self._sampler(self._copy(), name))

    async def save(self, directory: Path) -> None:
        """Writes adapter.safetensors, optimizer.safetensors and trainer.json; the folder appears whole."""
        await self._team.run(lambda check: self._save(directory))

    async def load(self, directory: Path) -> None:
        """Goes on from what `save` wrote.

        Raises `UsageError` if it is not there, or belongs to another base model or adapter shape.
        """
        await self._team.run(lambda check: self._load(directory))

    def _step(self, items: Sequence[Any], objective: Objective, adam: AdamConfig, check: Check) -> StepReport:
        with self._accumulated(items, objective, check) as sums:
            limit = float("inf") if adam.max_grad_norm is None else adam.max_grad_norm
            norm = torch.nn.utils.clip_grad_norm_(self._parameters.values(), limit).item()
            if not torch.isfinite(torch.tensor([norm, sums.loss])).all():
                raise NotFiniteError(f"loss {sums.loss} and gradient norm {norm} are not finite; no update was made")
            for group in self._optimizer.param_groups:
                group.update(
                    lr=adam.learning_rate,
                    betas=(adam.beta1, adam.beta2),
                    eps=adam.epsilon,
                    weight_decay=adam.weight_decay,
                )
            self._optimizer.step()
            self._replicas.follow(self._names)
        return StepReport(loss=sums.loss, grad_norm=norm, kl=sums.kl / sums.tokens, tokens=sums.tokens)

    @contextmanager
    def _accumulated(self, items: Sequence[Any], objective: Objective, check: Check) -> Iterator[Sums]:
        """Within it every parameter of the first replica holds the gradient of the summed loss."""
        parts = shares(items, len(self._passes))
        jobs = [
            partial(passes.run, part, objective, check)
            for passes, part in zip(self._passes[: len(parts)], parts, strict=True)
        ]
        try:
            sums = self._team.each(jobs)
            self._gather()
            yield Sums(sum(one.loss for one in sums), sum(one.kl for one in sums), sum(one.tokens for one in sums))
        finally:
            for passes in self._passes:
                passes.clear()

    def _gather(self) -> None:
        """Adds the other replicas' gradients to the first one's, in their order."""
        for passes in self._passes[1:]:
            for key, parameter in passes.parameters.items():
                if parameter.grad is None:
                    continue
                leading = self._parameters[key]
                here = parameter.grad.to(leading.device)
                leading.grad = here if leading.grad is None else leading.grad.add_(here)

    def _copy(self) -> dict[str, Tensor]:
        return self._replicas.first.adapters.copy(self._names[0]).tensors

    def _sampler(self, tensors: dict[str, Tensor], name: str) -> LocalSampler:
        """A snapshot of adapter weights that lie where the first replica has them."""
        weights = [AdapterWeights(self._names[0], tensors)]
        for passes in self._passes[1:]:
            moved = {key: tensors[key].to(p.device) for key, p in passes.parameters.items()}
            weights.append(AdapterWeights(passes.name, moved))
        return self._replicas.sampler(weights, self._identity(tensors), name)

    def _identity(self, tensors: dict[str, Tensor]) -> str:
        """The base model's id while the adapter changes nothing, else a hash of base, scale and adapter weights."""
        if all(not tensor.any() for key, tensor in tensors.items() if "lora_B" in key):
            return self._replicas.identity
        digest = hashlib.sha256()
        for key, tensor in sorted(tensors.items()):
            digest.update(key.encode())
            digest.update(tensor.cpu().numpy().tobytes())
        scale = f"{self._lora.alpha}/{self._lora.rank}"
        return content_hash("lora", self._replicas.identity, scale, digest.hexdigest())

    def _facts(self) -> dict[str, object]:
        return {"base": self._replicas.identity, "rank": self._lora.rank, "alpha": self._lora.alpha}

    def _save(self, directory: Path) -> None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            save_file(self._copy(), staging / "adapter.safetensors")
            state = {
                f"{key}/{field}": value.contiguous()
                for key, parameter in self._parameters.items()
                for field, value in self._optimizer.state.get(parameter, {}).items()
            }
            save_file(state, staging / "optimizer.safetensors")
            if self._average is not None:
                save_file(self._average, staging / "average.safetensors")
            (staging / "trainer.json").write_text(json.dumps({**self._facts(), "lora": asdict(self._lora)}))
            if directory.exists():
                shutil.rmtree(directory)
            staging.rename(directory)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _load(self, directory: Path) -> None:
        try:
            facts = json.loads((directory / "trainer.json").read_text())
            weights = load_file(directory / "adapter.safetensors")
            state = load_file(directory / "optimizer.safetensors")
            average = (
                load_file(directory / "average.safetensors") if (directory / "average.safetensors").exists() else None
            )
        except (OSError, json.JSONDecodeError, SafetensorError) as error:
            raise UsageError(f"{directory} holds no saved trainer ({error}); give a folder that a run saved") from error
        different = [key for key, value in self._facts().items() if facts.get(key) != value]
        if different or set(weights) != set(self._parameters):
            raise UsageError(
                f"{directory} was saved for another {', '.join(different) or 'model'}; load it with the same "
                f"--model and adapter settings ({facts})"
            )
        devices = {key: parameter.device for key, parameter in self._parameters.items()}
        self._average = average and {key: tensor.to(devices[key]) for key, tensor in average.items()}
        self._optimizer.state.clear()
        for key, parameter in self._parameters.items():
            parameter.data = weights[key].to(parameter.device)
            fields = {name.rpartition("/")[2]: t for name, t in state.items() if name.rpartition("/")[0] == key}
            if fields:
                self._optimizer.state[parameter] = {
                    field: value if field == "step" else value.to(parameter.device) for field, value in fields.items()
                }
        self._replicas.follow(self._names)


def _check_targets(items: Sequence[DistillItem]) -> None:
    widths = {len(place) for item in items for place in item.targets}
    if not any(value != 0 for item in items for value in item.mask):
        raise UsageError(f"{len(items)} items hold no place to learn from; leave the update out")
    for item in items:
        lengths = {len(item.tokens), len(item.behaviour_logprobs), len(item.targets), len(item.mask)}
        if len(lengths) != 1 or not item.tokens or len(widths) != 1 or widths == {0}:
            raise UsageError(
                f"an item of {item.prompt.task_key} has parts of lengths {sorted(lengths)}, with"
                f" {sorted(widths)} targets a place; all must be T >= 1, with equally many targets"
            )


def _check(items: Sequence[TrainItem], loss: LossName) -> None:
    if loss not in LOSSES:
        raise UsageError(f"no loss is called {loss!r}; use one of {', '.join(LOSSES)}")
    if not any(value != 0 for item in items for value in item.mask):
        raise UsageError(f"{len(items)} items hold no token to learn from; leave the update out")
    for item in items:
        lengths = {len(item.tokens), len(item.behaviour_logprobs), len(item.advantages), len(item.mask)}
        if len(lengths) != 1 or not item.tokens:
            raise UsageError(
                f"an item of {item.prompt.task_key} has parts of lengths {sorted(lengths)}; all must be T >= 1"
            )
