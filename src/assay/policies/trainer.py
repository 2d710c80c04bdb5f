"""Adapting a local model: low-rank adapters, Adam, and the losses of `assay.learning.losses`.

Axes: N completion tokens of one pack. One step sums the loss over all its items, in as many packs as memory asks for,
and makes one update; how items fall into packs changes no number but by rounding.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from assay.core.errors import NotFiniteError, UsageError
from assay.core.protocols import AdamConfig, LoraConfig, LossName, StepReport, TrainItem
from assay.core.records import content_hash
from assay.learning.losses import LOSSES
from assay.policies.adapters import Adapters, AdapterWeights
from assay.policies.generation import ATTENTION_NAME
from assay.policies.packing import in_chunks, pack
from assay.policies.sampler import LocalSampler, Worker
from assay.policies.text import prompt_tokens
from assay.policies.weights import LoadedModel

PACK_TOKENS = 512


@dataclass(frozen=True)
class _Sums:
    """What one pass over all items adds up to."""

    loss: float
    kl: float
    tokens: int


class LocalTrainer:
    """A trainer with an adapter and an optimizer of its own on the shared base model."""

    def __init__(self, loaded: LoadedModel, worker: Worker, adapters: Adapters, lora: LoraConfig) -> None:
        self._loaded = loaded
        self._worker = worker
        self._adapters = adapters
        self._lora = lora
        self._name = adapters.add(lora)
        self._parameters = adapters.parameters(self._name)
        self._optimizer = torch.optim.AdamW(list(self._parameters.values()))

    async def step(self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig) -> StepReport:
        """One Adam update on the sum of `loss` over all unmasked tokens of `items`.

        Raises `UsageError` for items without an unmasked token or with unequal lengths, `NotFiniteError` if the
        gradient is not finite; the weights are then as before.
        """
        _check(items, loss)
        return await self._worker.run(lambda check: self._step(items, loss, adam, check), gradients=True)

    async def gradient(self, items: Sequence[TrainItem], loss: LossName) -> dict[str, Tensor]:
        """The gradient that a step would use, by parameter, before clipping; nothing changes."""
        _check(items, loss)

        def compute(check: Callable[[], None]) -> dict[str, Tensor]:
            with self._accumulated(items, loss, check):
                return {key: p.grad.clone() for key, p in self._parameters.items() if p.grad is not None}

        return await self._worker.run(compute, gradients=True)

    async def snapshot(self, name: str) -> LocalSampler:
        """The current weights; `name` is for messages, and the id follows the weights alone."""
        weights = await self._worker.run(lambda check: self._adapters.copy(self._name), gradients=True)
        return LocalSampler(
            self._loaded,
            self._worker,
            identity=self._identity(weights),
            activate=lambda: self._adapters.snapshot(weights),
            name=name,
        )

    async def save(self, directory: Path) -> None:
        """Writes adapter.safetensors, optimizer.safetensors and trainer.json; the folder appears whole."""
        await self._worker.run(lambda check: self._save(directory), gradients=True)

    async def load(self, directory: Path) -> None:
        """Goes on from what `save` wrote.

        Raises `UsageError` if it is not there, or belongs to another base model or adapter shape.
        """
        await self._worker.run(lambda check: self._load(directory), gradients=True)

    def _step(
        self, items: Sequence[TrainItem], loss: LossName, adam: AdamConfig, check: Callable[[], None]
    ) -> StepReport:
        with self._accumulated(items, loss, check) as sums:
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
        return StepReport(loss=sums.loss, grad_norm=norm, kl=sums.kl / sums.tokens, tokens=sums.tokens)

    @contextmanager
    def _accumulated(self, items: Sequence[TrainItem], loss: LossName, check: Callable[[], None]) -> Iterator[_Sums]:
        """Within it every parameter holds the gradient of the summed loss."""
        with self._adapters.only(self._name):
            total, kl, tokens = 0.0, 0.0, 0
            try:
                for prompt, chunk in self._packs(items):
                    check()
                    theta_N = self._logprobs(prompt, chunk)
                    behaviour_N = self._column([item.behaviour_logprobs for item in chunk])
                    advantages_N = self._column([item.advantages for item in chunk])
                    mask_N = self._column([item.mask for item in chunk])
                    value = LOSSES[loss](theta_N, behaviour_N, advantages_N, mask_N)
                    value.backward()
                    total += value.item()
                    unmasked = mask_N != 0
                    kl += (behaviour_N - theta_N.detach())[unmasked].sum().item()
                    tokens += int(unmasked.sum())
                yield _Sums(total, kl, tokens)
            finally:
                self._optimizer.zero_grad(set_to_none=True)

    def _packs(self, items: Sequence[TrainItem]) -> Iterator[tuple[tuple[int, ...], list[TrainItem]]]:
        """Items that share a prompt together, `PACK_TOKENS` completion tokens at a time.

        Families whose attention does not take a mask of ours get one completion a pack.
        """
        shares = self._loaded.model.config._attn_implementation == ATTENTION_NAME
        by_prompt: dict[tuple[int, ...], list[TrainItem]] = {}
        for item in items:
            by_prompt.setdefault(prompt_tokens(self._loaded.tokenizer, item.prompt), []).append(item)
        for prompt, group in by_prompt.items():
            lengths = [len(item.tokens) for item in group]
            for chunk in in_chunks(lengths, PACK_TOKENS if shares else 1):
                yield prompt, [group[index] for index in chunk]

    def _logprobs(self, prompt: tuple[int, ...], chunk: list[TrainItem]) -> Tensor:
        """Raw log-probabilities of all completion tokens, (N,), float32, with gradient."""
        packed = pack(prompt, [item.tokens for item in chunk], self._loaded.model.device)
        logits_NV = self._loaded.model(
            input_ids=packed.ids_1L,
            position_ids=packed.positions_1L,
            attention_mask=packed.mask_11LL,
            logits_to_keep=packed.places_N,
            use_cache=False,
        ).logits[0]
        return -torch.nn.functional.cross_entropy(logits_NV.float(), packed.targets_N, reduction="none")

    def _column(self, rows: Sequence[Sequence[float]]) -> Tensor:
        return torch.tensor([value for row in rows for value in row], device=self._loaded.model.device)

    def _identity(self, weights: AdapterWeights) -> str:
        """The base model's id while the adapter changes nothing, else a hash of base, scale and adapter weights."""
        if all(not tensor.any() for key, tensor in weights.tensors.items() if "lora_B" in key):
            return self._loaded.identity
        digest = hashlib.sha256()
        for key, tensor in sorted(weights.tensors.items()):
            digest.update(key.encode())
            digest.update(tensor.cpu().numpy().tobytes())
        scale = f"{self._lora.alpha}/{self._lora.rank}"
        return content_hash("lora", self._loaded.identity, scale, digest.hexdigest())

    def _facts(self) -> dict[str, object]:
        return {"base": self._loaded.identity, "rank": self._lora.rank, "alpha": self._lora.alpha}

    def _save(self, directory: Path) -> None:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
        try:
            save_file(self._adapters.copy(self._name).tensors, staging / "adapter.safetensors")
            state = {
                f"{key}/{field}": value.contiguous()
                for key, parameter in self._parameters.items()
                for field, value in self._optimizer.state.get(parameter, {}).items()
            }
            save_file(state, staging / "optimizer.safetensors")
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
        except (OSError, json.JSONDecodeError, SafetensorError) as error:
            raise UsageError(f"{directory} holds no saved trainer ({error}); give a folder that a run saved") from error
        different = [key for key, value in self._facts().items() if facts.get(key) != value]
        if different or set(weights) != set(self._parameters):
            raise UsageError(
                f"{directory} was saved for another {', '.join(different) or 'model'}; load it with the same "
                f"--model and adapter settings ({facts})"
            )
        self._optimizer.state.clear()
        for key, parameter in self._parameters.items():
            parameter.data = weights[key].to(parameter.device)
            fields = {name.rpartition("/")[2]: t for name, t in state.items() if name.rpartition("/")[0] == key}
            if fields:
                self._optimizer.state[parameter] = {
                    field: value if field == "step" else value.to(parameter.device) for field, value in fields.items()
                }


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
