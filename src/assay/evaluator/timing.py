"""Timing one replicate: pairs of calls, reference and candidate in random order, each on inputs never seen before.

The runner's own clock gives the precise times; the judge's clock around the same calls bounds what a runner may claim.
A candidate's time by the judge's clock is the reference's runner time less the saving that the judge saw; a runner that
claims to have saved more is not believed.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from assay.evaluator.exchange import Exchange
from assay.stats.sequential import median_and_error

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

    def believed(self) -> "Times":
        """The same with each call's time raised to what the judge's clock says, less the usual overhead.

        The usual overhead is the 75th percentile of (wall - runner time) on the reference in this replicate. Both sides
        are treated alike, so that identical programs stay alike, and a runner cannot claim less than the judge saw.
        """
        overhead = np.subtract(self.reference_wall_ns, self.reference_ns)
        usual_ns = float(np.quantile(overhead, 0.75))

        def raised(claimed: list[int], wall: list[int]) -> list[int]:
            return [max(ns, round(seen - usual_ns)) for ns, seen in zip(claimed, wall, strict=True)]

        return Times(
            raised(self.reference_ns, self.reference_wall_ns),
            raised(self.candidate_ns, self.candidate_wall_ns),
            self.reference_wall_ns,
            self.candidate_wall_ns,
        )

    def log_ratios(self) -> NDArray[np.float64]:
        """log(t_reference / t_candidate) for each pair."""
        return np.log(np.array(self.reference_ns, dtype=np.float64)) - np.log(np.array(self.candidate_ns))


@dataclass(frozen=True)
class Clocks:
    """What the two clocks say about all pairs of an evaluation.

    claimed_ns: median saving a call by the runners' clocks; seen_ns: by the judge's; error_ns: standard error of
    seen_ns.
    """

    reference_ns: float
    claimed_ns: float
    seen_ns: float
    error_ns: float

    @property
    def is_mismatch(self) -> bool:
        """The runner claims a saving that the judge did not see, beyond noise and beyond a twentieth of the
        reference.
        """
        allowed_ns = max(5 * self.error_ns, 0.05 * self.reference_ns, 20_000)
        return self.claimed_ns > 0 and self.claimed_ns - self.seen_ns > allowed_ns

    @property
    def is_confirmed(self) -> bool:
        """The judge saw at least half of the claimed saving, beyond doubt: where noise hides it, it is not
        confirmed.
        """
        return self.seen_ns - 2.5 * self.error_ns >= 0.5 * self.claimed_ns


def compare_clocks(replicates: list[Times]) -> Clocks:
    """Pools the pairs of all replicates, as the runners claimed them."""

    def pooled(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.array(getattr(times, name), dtype=np.float64) for times in replicates])

    claimed = pooled("reference_ns") - pooled("candidate_ns")
    seen = pooled("reference_wall_ns") - pooled("candidate_wall_ns")
    excess = claimed - seen  # pair by pair: what slows a call down slows it on both clocks
    center, error_ns = median_and_error(excess)
    return Clocks(
        reference_ns=float(np.median(pooled("reference_ns"))),
        claimed_ns=float(np.median(claimed)),
        seen_ns=float(np.median(claimed)) - center,
        error_ns=error_ns,
    )


def time_pairs(
    reference: Exchange,
    candidate: Exchange,
    make_inputs: Callable[[], list[torch.Tensor]],
    check: Callable[[list[torch.Tensor], list[torch.Tensor]], None],
    *,
    pairs: int,
    budget_s: float,
    rng: random.Random,
) -> Times:
    """Times up to `pairs` pairs (at least three) within about `budget_s`.

    `check(candidate_outputs, reference_outputs)` is called for every pair, and raises if they differ.
    """
    _warm_up(reference, candidate, make_inputs)
    times = Times()
    slack_ns: dict[str, list[int]] = {"reference": [], "candidate": []}
    started = time.monotonic()
    for index in range(pairs):
        inputs = make_inputs()
        order = [(reference, "reference"), (candidate, "candidate")]
        rng.shuffle(order)
        for exchange, name in order:
            call = exchange.call(inputs)
            getattr(times, f"{name}_ns").append(call.nanoseconds("ns"))
            getattr(times, f"{name}_wall_ns").append(call.wall_ns)
            if "idle_ns" in call.reply:
                slack_ns[name].append(call.nanoseconds("idle_ns") - call.nanoseconds("ns"))
        check(candidate.outputs, reference.outputs)
        if index >= 2 and time.monotonic() - started > budget_s:
            break
    if slack_ns["candidate"]:
        _count_late_work(times, slack_ns)
    return times


def _warm_up(reference: Exchange, candidate: Exchange, make_inputs: Callable[[], list[torch.Tensor]]) -> None:
    """Two calls of each; on a GPU the last one of the reference sets the spin that hides launches."""
    for _ in range(2):
        inputs = make_inputs()
        candidate.call(inputs)
        call = reference.call(inputs)
        if "host_ns" in call.reply:
            spin_us = min(_LONGEST_SPIN_US, 1.5 * call.nanoseconds("host_ns") / 1000 + _SPIN_SLACK_US)
            reference.spin_us = candidate.spin_us = spin_us


def _count_late_work(times: Times, slack_ns: dict[str, list[int]]) -> None:
    """Where a candidate keeps the device busy after its end event for longer than the reference, that is its time
    too.
    """
    usual = float(np.median(slack_ns["reference"]))
    late = float(np.median(slack_ns["candidate"])) - usual
    if late > max(_LATE_WORK_NS, 0.02 * float(np.median(times.candidate_ns))):
        times.candidate_ns = [
            round(ns + max(0.0, extra - usual))
            for ns, extra in zip(times.candidate_ns, slack_ns["candidate"], strict=True)
        ]
