"""One evaluation while it is made: what it has gathered, how it may end early, and what comes out of it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from assay.core.records import Speedup, Status, Verdict
from assay.evaluator.exchange import ReferenceFailure, WrongForm
from assay.evaluator.processes import ProgramFailure, RunnerFailure
from assay.evaluator.timing import Times, Witness
from assay.stats.sequential import Decision

_BUILD_ERRORS = ("SyntaxError", "CalledProcessError", "CompilationError", "CppCompileError")
_Result = TypeVar("_Result")


class Ended(Exception):
    """An evaluation that ends before a verdict."""

    def __init__(self, status: Status, error: str, flags: tuple[str, ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.flags = flags


@dataclass
class Progress:
    """What one evaluation has gathered so far; `stages` are wall seconds, `unseen_ns` is the part of the claimed saving
    that the judge's clock rules out.
    """

    replicates: list[Times] = field(default_factory=list)
    witness: Witness = field(default_factory=Witness)
    unseen_ns: float = 0.0
    tiers: tuple[str, ...] = ()
    stages: dict[str, float] = field(default_factory=dict)

    def believed(self) -> list[Times]:
        """The replicates, with what is unseen added to the candidate's times."""
        return [times.slowed(self.unseen_ns) for times in self.replicates] if self.unseen_ns else self.replicates

    def facts(self) -> dict[str, Any]:
        """For the provenance: seconds a stage, microseconds of each timed pair, and what the judge's clock saw."""
        pairs_us = [
            [[round(r / 1e3, 2), round(c / 1e3, 2)] for r, c in zip(t.reference_ns, t.candidate_ns, strict=True)]
            for t in self.replicates
        ]
        facts: dict[str, Any] = {"stage_s": self.stages, "pairs_us": pairs_us}
        if self.witness.pairs:
            seen, error = self.witness.seen_share
            facts["witness"] = {"pairs": self.witness.pairs, "seen_share": seen, "error": error}
        return facts

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the wall time of a `with` block to stage `name`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.monotonic() - started


def lie(claimed_ns: float, seen_ns: float) -> str:
    """What to say of a claim that the judge's clock rules out."""
    return f"the runner claims to save {claimed_ns / 1e3:.0f} us a call, the judge's clock saw {seen_ns / 1e3:.0f} us"


def guarded(work: Callable[[], _Result]) -> _Result:
    """The one boundary where a candidate's failure becomes a status."""
    try:
        return work()
    except WrongForm as error:
        raise Ended(Status.WRONG_OUTPUT, str(error)) from None
    except ProgramFailure as error:
        is_build = error.stage == "build" or error.kind in _BUILD_ERRORS or "building extension" in str(error)
        raise Ended(Status.BUILD_ERROR if is_build else Status.RUNTIME_ERROR, str(error)) from None
    except torch.OutOfMemoryError as error:
        raise Ended(Status.RUNTIME_ERROR, f"beside this program the device has too little memory: {error}") from None
    except ReferenceFailure as error:
        raise Ended(Status.RUNTIME_ERROR, str(error), ("reference_failed",)) from None
    except RunnerFailure as error:
        status = {"timeout": Status.TIMEOUT, "protocol": Status.REJECTED}.get(error.kind, Status.RUNTIME_ERROR)
        flags = ("protocol_violation",) if error.kind == "protocol" else ()
        raise Ended(status, str(error), flags) from None


def outcome(decision: Decision, progress: Progress, *, is_unconfirmed: bool) -> dict[str, Any]:
    """The fields of an evaluation that has been measured to its end."""
    verdict, flags = (Verdict.UNDECIDED, ("clock_unconfirmed",)) if is_unconfirmed else (decision.verdict, ())
    replicates = progress.believed()
    found = decision.estimate
    return {
        "status": Status.CORRECT,
        "verdict": verdict,
        "flags": flags,
        "speedup": Speedup(
            ratio=float(np.exp(found.center)),
            low=float(np.exp(found.low)),
            high=float(np.exp(found.high)),
            level=found.level,
            margin=decision.margin,
            pairs=sum(len(times.candidate_ns) for times in replicates),
            replicates=len(replicates),
            raw=progress.replicates[0].plain_ratio(),
            minimal_effect=decision.minimal_effect,
        ),
        "candidate_ms": float(np.median([ns for t in replicates for ns in t.candidate_ns])) / 1e6,
        "reference_ms": float(np.median([ns for t in replicates for ns in t.reference_ns])) / 1e6,
    }
