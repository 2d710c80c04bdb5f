"""How many completion tokens are learned from at once: as many as a device's free memory holds."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU_TOKENS = 512
GPU_FIRST_TOKENS = 1024
GPU_MOST_TOKENS = 8192  # attention under a mask of ours grows with the square of a pack
SHARE = 0.5  # of the free memory: programs are judged on the same device


class PackBudget:
    """The limit of one device, or of those that a model is spread over. On GPUs it follows what packs need."""

    def __init__(self, *devices: torch.device) -> None:
        self._devices = [device for device in devices if device.type == "cuda"]
        self._most = GPU_MOST_TOKENS if self._devices else CPU_TOKENS
        self.tokens = GPU_FIRST_TOKENS if self._devices else CPU_TOKENS
        self._bytes_per_token = dict.fromkeys(self._devices, 0.0)

    @contextmanager
    def measured(self, tokens: int) -> Iterator[None]:
        """Around the forward and backward pass of a pack of `tokens` in all; the next packs may be larger for it."""
        before = {}
        for device in self._devices:
            torch.cuda.reset_peak_memory_stats(device)
            before[device] = torch.cuda.memory_allocated(device)
        yield
        if self._devices:
            fit = [self._fit(device, tokens, before[device]) for device in self._devices]
            self.tokens = max(1, min(self._most, *fit))

    def _fit(self, device: torch.device, tokens: int, before: int) -> int:
        """How many tokens the free memory of a device holds, after a pack that began with `before` bytes in use."""
        used = torch.cuda.max_memory_allocated(device) - before
        self._bytes_per_token[device] = max(self._bytes_per_token[device], used / tokens)
        free, _ = torch.cuda.mem_get_info(device)
        spare = free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(SHARE * spare / self._bytes_per_token[device])

    def halve(self) -> bool:
        """After memory ran out; False where a pack holds a single completion already."""
        if self.tokens == 1:
            return False
        self.tokens = self._most = max(1, self.tokens // 2)
        return True
