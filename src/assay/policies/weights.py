"""From a model's name to a loaded model and tokenizer.

A GGUF file is unpacked once, and kept as a folder of bfloat16 safetensors with its tokenizer: unpacking takes half a
minute, loading the folder takes seconds. Code of a checkpoint is never executed, and pickled weights are refused.
"""

import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from assay.core.errors import UsageError
from assay.core.places import cache_root
from assay.core.records import content_hash
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.models import REGISTRY, Progress, obtain, sha256_of
from assay.policies.spreading import device_map

REMEDY = "give a folder with config.json, tokenizer and *.safetensors, a .gguf file, or the id of a hub repository"


@dataclass(frozen=True)
class Located:
    """Where weights lie and what they are. `folder` holds safetensors; `identity` is a hash of their content."""

    name: str
    folder: Path
    identity: str
    is_registered: bool


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode, its tokenizer, and the identity of the weights.

    decoder: the fast decoding loop, where the model and its device have one.
    """

    name: str
    identity: str
    model: PreTrainedModel
    tokenizer: Any
    prompt_kind: Literal["completion", "chat"]
    decoder: CapturedDecoder | None = None

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Where weights lie; several for a model that is spread."""
        return tuple(dict.fromkeys(weight.device for weight in self.model.parameters()))

    @property
    def place(self) -> str:
        """The devices, joined by +."""
        return "+".join(map(str, self.devices))


def load_copies(spec: str, places: Sequence[str], progress: Progress | None = None) -> tuple[LoadedModel, ...]:
    """Loads the same weights onto each of `places`; see `load_weights`."""
    located = _located(spec, places, progress)
    return tuple(_load(spec, located, place) for place in places)


def load_weights(spec: str, device: str = "cpu", progress: Progress | None = None) -> LoadedModel:
    """Loads a registered name, `local:FOLDER`, `local:FILE.gguf` or `local:HUB-ID` onto `device`.

    `device`: "cpu", "cuda:N", or CUDA devices joined by +, which the model is spread over layer by layer. Weights are
    float32 on a CPU, where bfloat16 without hardware for it is two to five times slower, and bfloat16 elsewhere. Raises
    `UsageError` for a name, path or device that does not exist, cannot be read or is too small, `PolicyError` if a
    registered file cannot be obtained.
    """
    return _load(spec, _located(spec, [device], progress), device)


def _located(spec: str, places: Sequence[str], progress: Progress | None) -> Located:
    for place in places:
        if place.startswith("cuda") and not torch.cuda.is_available():
            raise UsageError(f"device {place!r} was asked for, but torch sees no CUDA device; use --device cpu")
    return locate(spec, progress)


def _load(spec: str, located: Located, place: str) -> LoadedModel:
    devices = place.split("+")
    dtype = torch.float32 if place == "cpu" else torch.bfloat16
    with _readable(spec), _quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(located.folder)
        where = None if len(devices) == 1 else device_map(located.folder, devices, dtype)
        model = AutoModelForCausalLM.from_pretrained(
            located.folder, dtype=dtype, use_safetensors=True, device_map=where
        )
    if where is None:
        torch.nn.Module.to(model, place)
    model.eval()
    model.requires_grad_(False)
    has_template = getattr(tokenizer, "chat_template", None) is not None
    kind = "chat" if has_template else "completion"
    if located.is_registered:
        kind = REGISTRY[located.name].prompt_kind
    return LoadedModel(located.name, located.identity, model, tokenizer, kind)


def locate(spec: str, progress: Progress | None = None) -> Located:
    """Finds the folder of safetensors behind `spec`, unpacking or downloading first where needed."""
    if spec in REGISTRY:
        model = REGISTRY[spec]
        folder = _unpacked_folder(model.sha256)
        if not folder.exists():
            _unpack(obtain(spec, progress=progress), folder, spec, progress)
        return Located(spec, folder, content_hash("gguf", model.sha256), is_registered=True)
    if not spec.startswith("local:"):
        raise UsageError(
            f"no local model is called {spec!r}; use one of {', '.join(REGISTRY)}, or local:PATH-or-hub-id"
        )
    place = spec.removeprefix("local:")
    path = Path(place).expanduser()
    if path.is_file() and path.suffix == ".gguf":
        digest = sha256_of(path)
        folder = _unpacked_folder(digest)
        if not folder.exists():
            _unpack(path, folder, spec, progress)
        return Located(spec, folder, content_hash("gguf", digest), is_registered=False)
    if path.is_dir():
        return Located(spec, path, folder_identity(path), is_registered=False)
    if path.exists() or place.count("/") != 1 or place.startswith((".", "/", "~")):
        raise UsageError(f"{spec}: {'is not a model' if path.exists() else 'does not exist'}; {REMEDY}")
    folder = _hub_snapshot(place)
    return Located(spec, folder, folder_identity(folder), is_registered=False)


def folder_identity(folder: Path) -> str:
    """A hash over the content of config, tokenizer and weights, whatever the folder is called.

    Raises `UsageError` if the folder holds no config.json or no safetensors.
    """
    weights = sorted(folder.glob("*.safetensors"))
    if not weights or not (folder / "config.json").exists():
        raise UsageError(f"{folder} holds no config.json with *.safetensors; {REMEDY}")
    files = [folder / "config.json", *sorted(folder.glob("tokenizer*")), *weights]
    return content_hash("folder", *(part for file in files for part in (file.name, sha256_of(file))))


def _unpacked_folder(gguf_sha256: str) -> Path:
    return cache_root() / "unpacked" / gguf_sha256[:16]


def _unpack(gguf: Path, folder: Path, spec: str, progress: Progress | None) -> None:
    """Writes the dense form of `gguf` to `folder`; the folder appears whole or not at all."""
    if progress is not None:
        progress(f"{spec}: unpacking {gguf.name} once", 0, gguf.stat().st_size)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        with _readable(spec), _quiet_transformers(), _parsed_once():
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            # The default way to load a GGUF file keeps packed weights, which cannot be saved or adapted.
            model = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                quantization_config=GgufConfig(dequantize=True),
                dtype=torch.bfloat16,
            )
            model.save_pretrained(staging)
            tokenizer.save_pretrained(staging)
        (staging / "source.json").write_text(json.dumps({"gguf": gguf.name, "spec": spec}))
        with contextlib.suppress(OSError):  # another process unpacked the same file meanwhile
            os.rename(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    if progress is not None:
        progress(f"{spec}: unpacked", gguf.stat().st_size, gguf.stat().st_size)


def _hub_snapshot(repo: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    patterns = ["*.json", "*.safetensors", "*.jinja", "tokenizer*", "*.model", "*.txt"]
    try:
        return Path(snapshot_download(repo, allow_patterns=patterns))
    except (OSError, HfHubHTTPError, HFValidationError) as error:
        raise UsageError(
            f"local:{repo} is no folder here, and the hub did not give it ({type(error).__name__}); check the id, the "
            f"network, HF_HUB_OFFLINE, and HF_TOKEN for a gated model, or {REMEDY}"
        ) from error


@contextlib.contextmanager
def _readable(spec: str) -> Iterator[None]:
    """Turns what transformers raises on a broken or unknown checkpoint into the user's error."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[:1]
        raise UsageError(f"{spec} cannot be loaded: {first_line[0] if first_line else error!r}; {REMEDY}") from error


@contextlib.contextmanager
def _parsed_once() -> Iterator[None]:
    """Within it a GGUF file is parsed once. Transformers does so for the tokenizer, the configuration and the weights,
    and each time a vocabulary of 150,000 takes a quarter of the whole unpacking.
    """
    import gguf

    reader: Any = gguf.GGUFReader
    setattr(gguf, "GGUFReader", functools.cache(reader))  # noqa: B010 - a class is no place to assign to
    try:
        yield
    finally:
        setattr(gguf, "GGUFReader", reader)  # noqa: B010


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hides the bars and the loading report of transformers, and leaves its settings as they were."""
    verbosity = transformers_logging.get_verbosity()
    had_bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()
