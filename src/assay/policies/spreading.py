"""One model over several GPUs, for weights that are too large for one: whole layers on each, one after the other."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from assay.core.errors import UsageError

WEIGHTS_SHARE = 0.85  # of a device's free memory; activations, keys and values, and adapters need the rest
GROWTH = 1.02  # from one share of the room that is tried to the next


def device_map(folder: Path, devices: Sequence[str], dtype: torch.dtype) -> dict[str, int]:
    """Which module of the model in `folder` goes to which of the CUDA `devices` (by index).

    Raises `UsageError` where they do not hold it.
    """
    room = {}
    for device in devices:
        free, _ = torch.cuda.mem_get_info(device)
        room[torch.device(device).index] = int(free * WEIGHTS_SHARE)
    config = AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return placed(empty, room)


def placed(model: PreTrainedModel, room: Mapping[int, int]) -> dict[str, int]:
    """Whole layers of `model`, in their order, on devices with `room` bytes each: the same share of each one's room.

    A module without weights of its own, as an output embedding that is the input embedding again, goes where the
    weights are. Raises `UsageError` where the layers do not fit.
    """
    needed = sum(weight.nbytes for weight in model.parameters())
    share = needed / max(1, sum(room.values()))  # with layers of any size, each device would be filled to this
    while share < GROWTH:
        found = _filled(model, {index: int(size * min(1.0, share)) for index, size in room.items()})
        if found is not None:
            return found
        share *= GROWTH
    raise UsageError(
        f"the model's weights take {needed / 1e9:.1f} GB, and {', '.join(f'cuda:{index}' for index in room)} have room"
        f" for {sum(room.values()) / 1e9:.1f} GB in whole layers; name more devices, or a smaller model"
    )


def _filled(model: PreTrainedModel, room: Mapping[int, int]) -> dict[str, int] | None:
    """Each device filled before the next one is begun; None where that does not fit."""
    waiting = list(room)
    left = dict(room)
    found: dict[str, int] = {}
    place_of: dict[nn.Parameter, int] = {}
    for name, module in _units("", model, frozenset(model._no_split_modules or ())):
        weights = list(module.parameters())
        new = [weight for weight in weights if weight not in place_of]
        if not new:
            found[name] = place_of[weights[0]] if weights else next(iter(room))
            continue
        size = sum(weight.nbytes for weight in new)
        while waiting and left[waiting[0]] < size:
            waiting.pop(0)
        if not waiting:
            return None
        left[waiting[0]] -= size
        found[name] = waiting[0]
        place_of.update(dict.fromkeys(new, waiting[0]))
    return found


def _units(name: str, module: nn.Module, whole: frozenset[str]) -> Iterator[tuple[str, nn.Module]]:
    """The modules that are placed: those of a class that must not be split, and what is outside of them."""
    has_own = next(module.parameters(recurse=False), None) is not None
    children = list(module.named_children())
    if has_own or not children or type(module).__name__ in whole:
        yield name, module
        return
    for child_name, child in children:
        yield from _units(f"{name}.{child_name}".lstrip("."), child, whole)
