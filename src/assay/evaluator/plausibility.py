"""What no program can beat: the time that the bytes it must move take at the best rate this device has shown.

Rates are measured once a device and kept. The bytes are those of the outputs (each must be written) and, of every
input, the share that the reference was seen to depend on. A candidate faster than that by more than SLACK is
quarantined (`implausible`). Operations give no floor worth having, since a better algorithm may need far fewer than the
reference; the measured peak bounds only one operation an output element, and serves to put times into perspective.
"""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from assay.core.places import cache_root, write_json
from assay.core.records import content_hash
from assay.evaluator.calibration import device_name
from assay.evaluator.reference import Reference
from assay.stats.intervals import clopper_pearson

SLACK = 2.0  # a floor is an argument about rates, not a measurement: only a clear violation counts
_PROBES = 8
_CPU_SIZES = tuple(1 << power for power in range(16, 27, 2))
_CUDA_SIZES = tuple(1 << power for power in range(20, 31, 2))
_REPEATS = 7


@dataclass(frozen=True)
class Ceilings:
    """Best rates seen: bytes a second (read plus written) by size of the block, operations a second in float32."""

    bytes_per_s: tuple[tuple[int, float], ...]
    operations_per_s: float

    def seconds(self, nbytes: int) -> float:
        """The least time that moving `nbytes` takes, at the best rate of any block at least half as large.

        (A larger block never moves faster than a smaller one, so that caches are allowed for.)
        """
        rates = [rate for size, rate in self.bytes_per_s if 2 * size >= nbytes] or [self.bytes_per_s[-1][1]]
        return nbytes / max(rates)


def ceilings(device: str, *, is_fresh: bool = False) -> Ceilings:
    """The rates of `device`, measured (under a second) if they are not known yet or `is_fresh`.

    A busy machine shows too low a rate, and a low ceiling would accuse honest programs: kept rates only ever rise.
    """
    path = cache_root() / "ceilings" / f"{content_hash(device_name(device), str(os.cpu_count()))}.json"
    known = _read(path)
    if known is not None and not is_fresh:
        return known
    found = _measure(device)
    if known is not None:
        found = Ceilings(
            tuple((size, max(a, b)) for (size, a), (_s, b) in zip(found.bytes_per_s, known.bytes_per_s, strict=True)),
            max(found.operations_per_s, known.operations_per_s),
        )
    write_json(path, asdict(found))
    return found


def _read(path: Path) -> Ceilings | None:
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text())
        return Ceilings(tuple((size, rate) for size, rate in document["bytes_per_s"]), document["operations_per_s"])
    except (ValueError, KeyError, TypeError):
        return None  # an unreadable cache is measured again


@dataclass(frozen=True)
class Work:
    """What any program for a task must do: bytes to move, and output elements to make."""

    nbytes: int
    elements: int

    def floor_ns(self, rates: Ceilings) -> float:
        """Nanoseconds below which no program can be, SLACK included."""
        return max(rates.seconds(self.nbytes), self.elements / rates.operations_per_s) / SLACK * 1e9


def least_work(reference: Reference) -> Work:
    """The work that the reference shows to be unavoidable."""
    outputs = sum(form.numel() * form.element_size() for form in reference.output_forms)
    elements = sum(form.numel() for form in reference.output_forms)
    needed = outputs + sum(
        share * form.numel() * form.element_size()
        for share, form in zip(_needed_shares(reference), reference.input_forms, strict=True)
    )
    return Work(int(needed), elements)


def _needed_shares(reference: Reference) -> list[float]:
    """For each input, a lower bound (95%) of the share of elements whose change changes an output."""
    seed = reference.init_seed ^ 0xF10012
    generator = torch.Generator().manual_seed(seed)
    inputs = reference.make_inputs(seed)
    before = reference.outputs(inputs)
    shares = []
    for tensor in inputs:
        if not tensor.is_floating_point() or tensor.numel() == 0 or reference.mutates_inputs:
            shares.append(0.0)
            continue
        hits = 0
        for _ in range(_PROBES):
            position = int(torch.randint(tensor.numel(), (1,), generator=generator))
            place = tuple(int(i) for i in torch.unravel_index(torch.tensor(position), tensor.shape))
            value = tensor[place].item()
            tensor[place] += 10.0
            after = reference.outputs(inputs)
            hits += any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
            del after
            tensor[place] = value
        interval = clopper_pearson(hits, _PROBES)
        shares.append(interval.low if interval else 0.0)
    return shares


def _measure(device: str) -> Ceilings:
    sizes = _CPU_SIZES if device == "cpu" else _CUDA_SIZES
    rates = []
    for size in sizes:
        source, target = (torch.ones(size // 4, device=device) for _ in range(2))
        inner = max(1, (1 << 24) // size) if device == "cpu" else 5
        best_s = min(_seconds(lambda s=source, t=target: t.copy_(s), inner, device) for _ in range(_REPEATS))
        rates.append((2 * size, 2 * size / best_s))
    side = 512 if device == "cpu" else 8192
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    best_s = min(_seconds(lambda: a @ b, 2, device) for _ in range(_REPEATS))
    return Ceilings(tuple(rates), 2 * side**3 / best_s)


def _seconds(work: object, inner: int, device: str) -> float:
    assert callable(work)
    if device == "cpu":
        started = time.perf_counter()
        for _ in range(inner):
            work()
        return (time.perf_counter() - started) / inner
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    work()
    start.record()
    for _ in range(inner):
        work()
    end.record()
    torch.cuda.synchronize(device)
    return start.elapsed_time(end) / 1000 / inner
