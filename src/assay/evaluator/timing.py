"""Timing one replicate: pairs of calls, reference and candidate in random order, each on inputs never seen before.

The runner's own clock gives the precise times; the judge's clock around the same calls bounds what a runner may claim. A
candidate's time by the judge's clock is the reference's runner time less the saving that the judge saw; a runner that claims to
have saved more is not believed.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from assay.evaluator.exchange import Exchange
from assay.evaluator.processes import RunnerFailure

_MAD_TO_SD = 1.4826
_LATE_WORK_NS = 30_000
_SPIN_SLACK_US = 60.0
_LONGEST_SPIN_US = 20_000.0


@dataclass
class Times:
    """Nanoseconds of each call of one replicate; entry i of all lists is pair i."""

    reference_ns: list[int] = field(default_factory=list)
    candidate_ns: list[int] = field(default_factory=list)
    reference_wall_ns: list[int] = field(default_factory=list)
    candidate_wall_ns: list[int] = field(default_factory=list)

    def log_ratios(self) -> NDArray[np.float64]:
        """log(t_reference / t_candidate) for each pair."""
        return np.log(np.array(self.reference_ns, dtype=np.float64)) - np.log(np.array(self.candidate_ns))


@dataclass(frozen=True)
class Clocks:
    """What the two clocks say about all pairs of an evaluation.

    claimed_ns: median saving by the runners' clocks; seen_ns: by the judge's; error_ns: standard error of the difference.
    """

    reference_ns: float
    claimed_ns: float
    seen_ns: float
    error_ns: float

    @property
    def is_mismatch(self) -> bool:
        """The runner claims a saving that the judge did not see, beyond noise and beyond a twentieth of the reference."""
        return self.claimed_ns - self.seen_ns > max(5 * self.error_ns, 0.05 * self.reference_ns, 20_000)

    @property
    def is_confirmed(self) -> bool:
        """The judge saw at least half of the claimed saving, within two standard errors."""
        return self.seen_ns + 2 * self.error_ns >= 0.5 * self.claimed_ns


def compare_clocks(replicates: list[Times]) -> Clocks:
    """Pools the pairs of all replicates."""

    def pooled(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.array(getattr(times, name), dtype=np.float64) for times in replicates])

    claimed = pooled("reference_ns") - pooled("candidate_ns")
    seen = pooled("reference_wall_ns") - pooled("candidate_wall_ns")
    excess = claimed - seen
    spread = _MAD_TO_SD * float(np.median(np.abs(excess - np.median(excess))))
    return Clocks(
        reference_ns=float(np.median(pooled("reference_ns"))),
        claimed_ns=float(np.median(claimed)),
        seen_ns=float(np.median(claimed)) - float(np.median(excess)),
        error_ns=1.2533 * spread / np.sqrt(excess.size),
    )


def time_pairs(
    reference: Exchange,
    candidate: Exchange,
    make_inputs: Callable[[], list[torch.Tensor]],
    check: Callable[[list[torch.Tensor], list[torch.Tensor]], None],
    *,
    pairs: int,
    checks: int,
    budget_s: float,
    rng: random.Random,
) -> Times:
    """Times up to `pairs` pairs (at least three) within about `budget_s`; verifies the candidate's output in `checks` of them.

    `check(candidate_outputs, reference_outputs)` raises if they differ. Which pairs are checked is not known to a runner.
    """
    _warm_up(reference, candidate, make_inputs)
    checked = set(rng.sample(range(pairs), min(checks, pairs)))
    times = Times()
    slack = {"reference": [], "candidate": []}
    started = time.monotonic()
    for index in range(pairs):
        inputs = make_inputs()
        order = [(reference, "reference"), (candidate, "candidate")]
        rng.shuffle(order)
        for exchange, name in order:
            reply, wall_ns = exchange.call(inputs)
            getattr(times, f"{name}_ns").append(_nanoseconds(reply.content, "ns"))
            getattr(times, f"{name}_wall_ns").append(wall_ns)
            if "idle_ns" in reply.content:
                slack[name].append(_nanoseconds(reply.content, "idle_ns") - getattr(times, f"{name}_ns")[-1])
        if index in checked:
            check(candidate.outputs, reference.outputs)
        if index >= 2 and time.monotonic() - started > budget_s:
            break
    if slack["candidate"]:
        _count_late_work(times, slack)
    return times


def _warm_up(reference: Exchange, candidate: Exchange, make_inputs: Callable[[], list[torch.Tensor]]) -> None:
    """Two calls of each; on a GPU the second sets the spin that hides the reference's launches."""
    for _ in range(2):
        inputs = make_inputs()
        candidate.call(inputs)
        reply, _wall_ns = reference.call(inputs)
        if "host_ns" in reply.content:
            spin_us = min(_LONGEST_SPIN_US, 1.5 * reply.content["host_ns"] / 1000 + _SPIN_SLACK_US)
            reference.spin_us = candidate.spin_us = spin_us


def _count_late_work(times: Times, slack: dict[str, list[int]]) -> None:
    """Where a candidate leaves the device busy after its end event for longer than the reference does, that is its time too."""
    usual = float(np.median(slack["reference"]))
    late = float(np.median(slack["candidate"])) - usual
    if late > max(_LATE_WORK_NS, 0.02 * float(np.median(times.candidate_ns))):
        times.candidate_ns = [
            round(ns + max(0.0, extra - usual))
            for ns, extra in zip(times.candidate_ns, slack["candidate"], strict=True)
        ]


def _nanoseconds(content: dict, name: str) -> int:
    value = content.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 62:
        raise RunnerFailure("protocol", f"a time of {str(value)[:50]} ns")
    return value
