"""Low-rank adapters on one shared base model: any number of trainers and snapshots, one copy of the large weights."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import LoraConfig as PeftLoraConfig
from peft import inject_adapter_in_model
from peft.helpers import disable_input_dtype_casting
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor
from transformers import PreTrainedModel

from assay.core.protocols import LoraConfig


@dataclass(frozen=True)
class AdapterWeights:
    """A copy of an adapter's weights, by parameter name; `adapter` is where they fit."""

    adapter: str
    tensors: dict[str, Tensor]


class Adapters:
    """Owns which adapter of a model is in effect. Not safe for concurrent use: callers hold the model's lock."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        output = model.get_output_embeddings()
        # Named before the first adapter exists, whose own projections would be found as well.
        self._targets = sorted(
            {
                name.rpartition(".")[2]
                for name, module in model.named_modules()
                if isinstance(module, torch.nn.Linear) and module is not output
            }
        )
        self._parameters: dict[str, dict[str, torch.nn.Parameter]] = {}

    def add(self, lora: LoraConfig) -> str:
        """Adds an adapter to all attention and MLP projections, and gives its name.

        Its B matrices are zero, so it changes nothing yet; its A matrices follow `lora.seed`. Weights are float32.
        """
        name = f"trainer{len(self._parameters)}"
        config = PeftLoraConfig(r=lora.rank, lora_alpha=lora.alpha, target_modules=self._targets, lora_dropout=0.0)
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # Several adapters on one model are what this class is for.
            warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")
            torch.manual_seed(lora.seed)
            inject_adapter_in_model(config, self._model, adapter_name=name)
        found = {key: value for key, value in self._model.named_parameters() if f".{name}." in key}
        for parameter in found.values():
            parameter.data = parameter.data.float()
        self._parameters[name] = {key.replace(f".{name}.", "."): value for key, value in found.items()}
        return name

    def parameters(self, name: str) -> dict[str, torch.nn.Parameter]:
        """The live weights of an adapter; the keys do not hold its name."""
        return self._parameters[name]

    def copy(self, name: str) -> AdapterWeights:
        """The weights as they are now."""
        return AdapterWeights(name, {key: p.detach().clone() for key, p in self._parameters[name].items()})

    @contextmanager
    def only(self, name: str | None) -> Iterator[None]:
        """Within it the model is the base model with this adapter, or without any; its weights can be trained."""
        layers = [module for module in self._model.modules() if isinstance(module, BaseTunerLayer)]
        for layer in layers:
            layer.enable_adapters(name is not None)
            if name is not None:
                layer.set_adapter(name)
        yield

    @contextmanager
    def mixed_precision(self) -> Iterator[None]:
        """Within it float32 adapters on a bfloat16 model compute in bfloat16, and get float32 gradients.

        Otherwise every input would be copied to float32 and kept for the backward pass, which costs more than all else.
        """
        if self._model.get_input_embeddings().weight.dtype != torch.bfloat16:
            yield
            return
        with torch.autocast(self._model.device.type, torch.bfloat16), disable_input_dtype_casting(self._model):
            yield

    @contextmanager
    def snapshot(self, weights: AdapterWeights) -> Iterator[None]:
        """Within it the model uses copied weights; the live ones come back afterwards."""
        parameters = self._parameters[weights.adapter]
        live = {key: parameter.data for key, parameter in parameters.items()}
        try:
            for key, parameter in parameters.items():
                parameter.data = weights.tensors[key]
            with self.only(weights.adapter):
                yield
        finally:
            for key, parameter in parameters.items():
                parameter.data = live[key]
