"""Devices as users name them. Torch is imported only where a CUDA device is meant.

`cpu`, `cuda` (the first), `cuda:N`, and `auto` (the first CUDA device, or else the CPU) are one device; names with
commas between them and `cuda:all` are several. For a model, names joined by + and `cuda:split` (all of them) are one
place, which the model is spread over.
"""

import re
from collections.abc import Sequence

from assay.core.errors import UsageError

ALL = "cuda:all"
SPLIT = "cuda:split"


def device_named(name: str) -> str:
    """`cpu` or `cuda:N` for one device. UsageError for one that is not there."""
    if name == "cpu":
        return name
    if name != "auto" and name != "cuda" and not name.startswith("cuda:"):
        raise UsageError(f"device {name!r}: write cpu, cuda, cuda:N or auto")
    count = _cuda_devices()
    if not count:
        if name == "auto":
            return "cpu"
        raise UsageError(f"device {name!r}: torch sees no CUDA device here; use --device cpu")
    index = name.partition(":")[2] or "0"
    if not index.isdecimal() or int(index) >= count:
        raise UsageError(f"device {name!r}: this machine has {count} CUDA devices, counted from 0")
    return f"cuda:{int(index)}"


def devices_named(text: str) -> str:
    """One or several devices that programs are timed on, with commas between them.

    UsageError for a device that is not there or is named twice, and for a CPU among several.
    """
    if "+" in text or text == SPLIT:
        raise UsageError(f"device {text!r}: programs run on one device each; a model alone is spread, by model_device")
    if text == ALL:
        return ",".join(_all_of(text))
    return ",".join(_distinct(text, [device_named(name.strip()) for name in text.split(",")]))


def model_devices_named(text: str) -> str:
    """The devices of a model: copies with commas between them, the devices of a copy that is spread joined by +.

    UsageError for a device that is not there or is named twice, and for a CPU among several.
    """
    if text == ALL:
        return ",".join(_all_of(text))
    if text == SPLIT:
        return "+".join(_all_of(text))
    names = _distinct(text, [device_named(name.strip()) for name in re.split("[,+]", text)])
    marks = re.findall("[,+]", text)
    return "".join(name + mark for name, mark in zip(names, [*marks, ""], strict=True))


def device_list(device: str) -> tuple[str, ...]:
    """The devices of a resolved name, or of what a policy or an evaluator says it keeps busy."""
    return tuple(re.split("[,+]", device))


def share_a_device(first: str, second: str) -> bool:
    """Whether a device is in both."""
    return not set(device_list(first)).isdisjoint(device_list(second))


def one_device(text: str, command: str) -> str:
    """The device of a command that takes one only, as it was named. UsageError for several."""
    if "," in text or "+" in text or text in (ALL, SPLIT):
        raise UsageError(f"--device {text}: {command} uses one device; name one, such as cuda:0")
    return text


def _distinct(text: str, names: Sequence[str]) -> Sequence[str]:
    if len(set(names)) < len(names):
        raise UsageError(f"device {text!r}: a device is named twice")
    if len(names) > 1 and "cpu" in names:
        raise UsageError(f"device {text!r}: several devices are CUDA devices, such as cuda:0,cuda:1")
    return names


def _all_of(text: str) -> list[str]:
    count = _cuda_devices()
    if not count:
        raise UsageError(f"device {text!r}: torch sees no CUDA device here; use cpu")
    return [f"cuda:{index}" for index in range(count)]


def _cuda_devices() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
