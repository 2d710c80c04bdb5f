"""Timing: pairs of calls, reference and candidate in random order, each on inputs never seen before.

The runner's own clock gives the precise times, and can be forged. Two things bound what a runner may claim, both on the
judge's clock. `Clocks`: the same calls, in every replicate; it catches a gross lie at once, but on a GPU the launches
of these calls hide behind a spin that the runner itself starts, and so could leave out. `Witness`: bare calls without a
spin, made when a program is about to be called faster; nothing in them is the runner's to forge.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from assay.evaluator.exchange import Call, Exchange
from assay.stats.sequential import median_and_error

_LATE_WORK_NS = 30_000
_SPIN_SLACK_US = 60.0
_LONGEST_SPIN_US = 20_000.0
_SMALLEST_LIE_NS = 20_000
_FEWEST_WITNESSED = 20
_WITNESSED_AT_ONCE = 10


@dataclass
class Times:
    """Nanoseconds of each call of one replicate; entry i of all lists is pair i.

    `_ns`: by the runner's clock, on a CPU without the waiting for a core; `_plain_ns`: the same with it, as a simple
    timer would measure; `_seen_ns`: by the judge's clock.
    """

    reference_ns: list[int] = field(default_factory=list)
    candidate_ns: list[int] = field(default_factory=list)
    reference_plain_ns: list[int] = field(default_factory=list)
    candidate_plain_ns: list[int] = field(default_factory=list)
    reference_seen_ns: list[int] = field(default_factory=list)
    candidate_seen_ns: list[int] = field(default_factory=list)

    def add(self, side: str, call: Call) -> None:
        """Takes a call of one side, "reference" or "candidate"."""
        getattr(self, f"{side}_ns").append(call.nanoseconds("ns"))
        getattr(self, f"{side}_plain_ns").append(call.plain_ns)
        getattr(self, f"{side}_seen_ns").append(call.wall_ns)

    def slowed(self, correction_ns: float) -> "Times":
        """The same with every call of the candidate taking `correction_ns` longer."""
        return replace(self, candidate_ns=[round(ns + correction_ns) for ns in self.candidate_ns])

    def __add__(self, other: "Times") -> "Times":
        """The pairs of both."""
        return Times(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Times)))

    def plain_ratio(self, calls: int = 5) -> float:
        """Mean reference time over mean candidate time of the first `calls`: what the published rule looks at."""
        return float(np.mean(self.reference_plain_ns[:calls]) / np.mean(self.candidate_plain_ns[:calls]))

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
        allowed_ns = max(5 * self.error_ns, 0.05 * self.reference_ns, _SMALLEST_LIE_NS)
        return self.claimed_ns > 0 and self.claimed_ns - self.seen_ns > allowed_ns

    @property
    def claimed_share(self) -> float:
        """The claimed saving as a share of the reference's time: what stays when the machine becomes slower."""
        return self.claimed_ns / self.reference_ns


@dataclass
class Witness:
    """Bare calls, for what the judge's clock says of them; the reference's own times are the scale.

    Claims are compared as shares of the reference's time, for a machine need not be as fast now as it was when the
    claim was made; only a claim about these very calls can be a lie.
    """

    times: Times = field(default_factory=Times)

    @property
    def pairs(self) -> int:
        """How many pairs of bare calls there are."""
        return len(self.times.candidate_seen_ns)

    @property
    def seen_share(self) -> tuple[float, float]:
        """Median saving by the judge's clock as a share of the reference's median time, and its standard error."""
        savings = np.subtract(self.times.reference_seen_ns, self.times.candidate_seen_ns).astype(np.float64)
        center, error = median_and_error(savings)
        reference = float(np.median(self.times.reference_ns))
        return center / reference, error / reference

    def confirms(self, claimed_share: float) -> bool:
        """At least half of the claimed saving was seen, beyond doubt: where noise hides it, it is not confirmed."""
        if self.pairs < _FEWEST_WITNESSED:
            return False
        seen, error = self.seen_share
        return seen - 2.5 * error >= 0.5 * claimed_share

    def refutes(self) -> bool:
        """The runner lied about these calls."""
        return self.pairs >= _FEWEST_WITNESSED and compare_clocks([self.times]).is_mismatch

    def unseen_share(self, claimed_share: float) -> float:
        """How much of the claim lies beyond what may have been seen (3 standard errors); 0 for a claim that fits."""
        if self.pairs < _FEWEST_WITNESSED:
            return 0.0
        seen, error = self.seen_share
        return max(0.0, claimed_share - seen - 3 * error)


def compare_clocks(replicates: list[Times]) -> Clocks:
    """Pools the pairs of all replicates, as the runners claimed them."""

    def pooled(name: str) -> NDArray[np.float64]:
        return np.concatenate([np.array(getattr(times, name), dtype=np.float64) for times in replicates])

    claimed = pooled("reference_ns") - pooled("candidate_ns")
    seen = pooled("reference_seen_ns") - pooled("candidate_seen_ns")
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
        for exchange, name in _in_random_order(reference, candidate, rng):
            call = exchange.call(inputs)
            times.add(name, call)
            if "idle_ns" in call.reply:
                slack_ns[name].append(call.nanoseconds("idle_ns") - call.nanoseconds("ns"))
        check(candidate.outputs, reference.outputs)
        if index >= 2 and time.monotonic() - started > budget_s:
            break
    if slack_ns["candidate"]:
        _count_late_work(times, slack_ns)
    return times


def witness_pairs(
    reference: Exchange,
    candidate: Exchange,
    make_inputs: Callable[[], list[torch.Tensor]],
    check: Callable[[list[torch.Tensor], list[torch.Tensor]], None],
    rng: random.Random,
) -> Times:
    """A few pairs of bare calls; outputs are compared as in `time_pairs`."""
    times = Times()
    for _ in range(_WITNESSED_AT_ONCE):
        inputs = make_inputs()
        for exchange, name in _in_random_order(reference, candidate, rng):
            times.add(name, exchange.call_bare(inputs))
        check(candidate.outputs, reference.outputs)
    return times


def _in_random_order(reference: Exchange, candidate: Exchange, rng: random.Random) -> list[tuple[Exchange, str]]:
    """Both sides of a pair, by the names that `Times.add` takes."""
    order = [(reference, "reference"), (candidate, "candidate")]
    rng.shuffle(order)
    return order


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
