"""A saved adapter into a running vLLM: written in PEFT's form, loaded over HTTP, and seen to be there and to work.

The server reads the files itself, so it must see the same folder. It must have been started with `--enable-lora`, a
`--max-lora-rank` of at least the adapter's, and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from assay.core.errors import UsageError
from assay.core.places import cache_root, write_json
from assay.core.records import SamplingParams, content_hash
from assay.policies.openai_requests import Server, first_tokens
from assay.policies.probe_logprobs import probe_prompt

PEFT_PREFIX = "base_model.model."
_UNTOUCHED_NATS = 1e-6
_LOOK = SamplingParams(temperature=1.0, max_tokens=1)


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter under the name that requests use. identity: a hash of model name, scale and weights."""

    name: str
    identity: str


@dataclass(frozen=True)
class SavedAdapter:
    """An adapter as a run keeps it; tensors are float32, by the name of the module."""

    rank: int
    alpha: int
    tensors: dict[str, np.ndarray]

    @property
    def changes_something(self) -> bool:
        """A new adapter's B matrices are zero: it is the base model still."""
        return any(bool(tensor.any()) for key, tensor in self.tensors.items() if ".lora_B." in key)


async def load_adapter(server: Server, directory: Path) -> ServedAdapter:
    """Loads what a run saved in `directory` (`adapters/round-N`) into the server, and makes sure of it.

    Some versions answer 200 for a path that is not there, and for weights that fit no module; so the model list must
    name the adapter, and the likeliest next tokens must have other log-probabilities than the base model's.
    UsageError for whatever does not hold.
    """
    if server.dialect.name != "vllm":
        raise UsageError(
            f"server.adapter: a {server.dialect.name} server loads no adapter while it runs; use vLLM, or start the "
            "server with the adapter and name that as the model"
        )
    saved = read_saved(directory)
    digest = content_hash(*(f"{key}:{content_hash(tensor.tobytes().hex())}" for key, tensor in _sorted(saved)))
    identity = content_hash("openai-lora", server.address.name, f"{saved.alpha}/{saved.rank}", digest)
    name = f"assay-{identity}"
    folder = cache_root() / "adapters" / identity
    write_peft(saved, server.address.name, folder)
    if name not in await _listed(server):
        reply = await server.link.post("load_lora_adapter", {"lora_name": name, "lora_path": str(folder)})
        if reply.status == 404:
            raise UsageError(
                f"{server.address.base_url} loads no adapters: start vLLM with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
            )
        if not reply.is_ok:
            raise UsageError(f"{server.address.base_url} does not load the adapter {directory}: {reply.complaint}")
        if name not in await _listed(server):
            raise UsageError(
                f"{server.address.base_url} said that it loaded the adapter {directory}, but does not list it: does "
                f"the server see the folder {folder}?"
            )
    await _check_effect(server, name, saved, directory)
    return ServedAdapter(name, identity)


def write_peft(saved: SavedAdapter, base: str, folder: Path) -> None:
    """Writes `adapter_model.safetensors` and `adapter_config.json`, as PEFT and vLLM read them."""
    modules = sorted({key.split(".lora_")[0].rpartition(".")[2] for key in saved.tensors})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": saved.rank,
        "lora_alpha": saved.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": modules,
        "inference_mode": True,
    }
    folder.mkdir(parents=True, exist_ok=True)
    weights = {f"{PEFT_PREFIX}{key}": tensor for key, tensor in saved.tensors.items()}
    part = folder / "adapter_model.part"
    save_file(weights, part)
    part.replace(folder / "adapter_model.safetensors")
    write_json(folder / "adapter_config.json", config)


def read_saved(directory: Path) -> SavedAdapter:
    """What a trainer saved in `directory`, or in its folder `trainer`. UsageError if nothing was."""
    directory = directory / "trainer" if (directory / "trainer").is_dir() else directory
    try:
        facts = json.loads((directory / "trainer.json").read_text())
        return SavedAdapter(int(facts["rank"]), int(facts["alpha"]), load_file(directory / "adapter.safetensors"))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise UsageError(
            f"server.adapter = {directory}: no saved adapter there ({error}); name a folder such as "
            "RUN/adapters/round-3 of a run that trained"
        ) from error


def _sorted(saved: SavedAdapter) -> list[tuple[str, np.ndarray]]:
    return sorted(saved.tensors.items())


async def _listed(server: Server) -> list[str]:
    reply = await server.link.get("models")
    listed = reply.body.get("data") if reply.is_ok and isinstance(reply.body, dict) else None
    return [str(model.get("id")) for model in listed or () if isinstance(model, dict)]


async def _check_effect(server: Server, name: str, saved: SavedAdapter, directory: Path) -> None:
    if not saved.changes_something:
        return
    prompt = probe_prompt("completion")
    base, adapted = [
        first_tokens(await one.complete(prompt, 1, _LOOK, seed=0, more={"logprobs": 5}))
        for one in (server, server.named(name))
    ]
    shared = base.keys() & adapted.keys()
    if base and shared == base.keys() and all(abs(base[key] - adapted[key]) <= _UNTOUCHED_NATS for key in shared):
        raise UsageError(
            f"{server.address.base_url} lists the adapter {directory}, but it changes nothing: its weights fit none of "
            f"the modules of {server.address.name}; serve the model that the adapter was trained on"
        )
