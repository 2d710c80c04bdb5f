"""A/A noise of a task on a device: the reference against itself, in fresh processes, measured once and kept.

Kept under the cache directory, one JSON file a (device, task, settings); what comes from a noisy moment that has passed
is measured again (`Session.ensure_calibrated`).
"""

import json
import os
import platform
import time
from pathlib import Path

import torch

from assay.core.places import cache_root, write_json
from assay.core.records import content_hash
from assay.stats.sequential import Noise

_FORMAT = {"cpu": 4, "cuda": 3}  # changes where times of another kind are taken
_KEPT = 200
_MOMENT_S = 1800.0  # noise of this long ago says how the machine is now


def device_name(device: str) -> str:
    """A device's own name, as provenance shows it."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


class Calibration:
    """A/A replicate medians (log ratios) of one task on one device."""

    def __init__(self, device: str, task_hash: str, threads: int, pairs: int) -> None:
        key = content_hash(
            *map(
                str,
                (
                    _FORMAT[device.split(":")[0]],
                    device_name(device),
                    os.cpu_count(),
                    torch.__version__,
                    task_hash,
                    threads,
                    pairs,
                ),
            )
        )
        self._path = cache_root() / "calibration" / f"{key}.json"
        self.medians: list[float] = []
        self._measured_at = 0.0  # seconds since the epoch
        if self._path.exists():
            try:
                kept = json.loads(self._path.read_text())
                self.medians = [float(x) for x in kept["medians"]]
                self._measured_at = float(kept.get("measured_at", 0.0))
            except (ValueError, KeyError, TypeError, AttributeError, OSError):
                self.medians = []  # an unreadable cache is measured again

    def add(self, medians: list[float]) -> None:
        """Adds replicates and stores them; the newest are kept."""
        self.medians = [*self.medians, *medians][-_KEPT:]
        self._measured_at = time.time()
        write_json(self._path, {"medians": self.medians, "measured_at": self._measured_at})

    def replace(self, medians: list[float]) -> None:
        """Forgets what was measured before: the machine was in another state then."""
        self.medians = []
        self.add(medians)

    @property
    def is_recent(self) -> bool:
        """Whether the last replicates were made in the last half hour."""
        return 0 <= time.time() - self._measured_at < _MOMENT_S

    @property
    def noise(self) -> Noise:
        """Noise of the replicates so far; raises ValueError for fewer than two."""
        return Noise.from_medians(self.medians)
