"""The judge: one a device. It holds the task, the secret inputs, the expected outputs, the wall clock and the verdict.

Evaluation of a candidate: a fresh runner loads it (compilers allowed), is locked down, and must compute what the reference
computes on fresh inputs of the task's own and of another distribution. Then replicates are timed, each a fresh process of
reference and candidate, until a look at the interval decides (stats/sequential.py). See EVALUATION in docs/evaluator.md.
"""

import asyncio
import contextlib
import logging
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

import numpy as np
import torch

from assay.core.errors import EvaluatorError, UsageError
from assay.core.records import Candidate, Evaluation, Provenance, Speedup, Status, Task, Verdict
from assay.evaluator.calibration import Calibration, device_name
from assay.evaluator.config import DEFAULT_CONFIG, EvaluatorConfig
from assay.evaluator.correctness import mismatch
from assay.evaluator.exchange import Exchange, ProgramFailure, WrongForm
from assay.evaluator.processes import Limits, Runner, RunnerFailure, Zygote
from assay.evaluator.reference import Reference, Trial
from assay.evaluator.timing import Times, compare_clocks, time_pairs
from assay.stats.sequential import Decision, decide

log = logging.getLogger(__name__)

_REPLICATE_BUDGET_S = 20.0
_ERROR_LIMIT = 4000
_Result = TypeVar("_Result")
_BUILD_ERRORS = ("SyntaxError", "CalledProcessError", "CompilationError", "CppCompileError")


@dataclass(frozen=True)
class _Ended(Exception):
    """An evaluation that ends before a verdict."""

    status: Status
    error: str = ""
    flags: tuple[str, ...] = ()


@dataclass
class _Progress:
    """What one evaluation has gathered so far."""

    replicates: list[Times] = field(default_factory=list)
    tiers: tuple[str, ...] = ()
    timed_calls: int = 0
    stages: dict[str, float] = field(default_factory=dict)


class Judge:
    """Implements `core.protocols.Evaluator` for one device; evaluations are made one at a time."""

    def __init__(self, device: str = "cpu", config: EvaluatorConfig | None = None) -> None:
        self._config = config or DEFAULT_CONFIG
        self._device = _checked_device(device)
        self._index = None if self._device == "cpu" else torch.device(self._device).index
        self._cpus = _timing_cpus(self._config.threads)
        self._limits = Limits(
            memory_bytes=self._config.memory_mb << 20,
            file_bytes=self._config.file_mb << 20,
            processes=self._config.processes,
        )
        self._zygote: Zygote | None = None
        self._references: dict[str, tuple[Reference, list[Trial], Calibration]] = {}
        self._lease = threading.Lock()
        self._rng = random.Random(secrets.randbits(128))

    @property
    def device(self) -> str:
        """The device that programs run on."""
        return self._device

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.evaluate`."""
        return await asyncio.to_thread(self.evaluate_now, task, candidate)

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.remeasure`: every evaluation takes fresh processes and inputs."""
        return await asyncio.to_thread(self.evaluate_now, task, candidate)

    async def close(self) -> None:
        """Ends the zygote and its runners."""
        with self._lease:
            if self._zygote is not None:
                self._zygote.close()
                self._zygote = None
            self._references.clear()

    def evaluate_now(self, task: Task, candidate: Candidate, class_name: str = "ModelNew") -> Evaluation:
        """`evaluate`, blocking."""
        started = time.monotonic()
        progress = _Progress()
        with self._lease, _one_thread():
            try:
                decision, raw = self._measure(task, candidate, class_name, progress)
                outcome = self._verdict(decision, raw, progress)
            except _Ended as ended:
                outcome = {"status": ended.status, "error": ended.error[:_ERROR_LIMIT], "flags": ended.flags}
        return Evaluation(
            task_key=task.key,
            candidate_hash=candidate.hash,
            timed_calls=progress.timed_calls,
            seconds=time.monotonic() - started,
            provenance=Provenance(
                device=f"{self._device} ({device_name(self._device)})",
                sandbox=progress.tiers,
                facts={"stage_s": progress.stages, "load_average": os.getloadavg()[0], "torch": torch.__version__},
            ),
            **outcome,
        )

    def calibrate(self, task: Task, replicates: int) -> list[float]:
        """Times `replicates` A/A replicates of the task's reference, keeps them, and returns their medians (log ratios)."""
        with self._lease, _one_thread():
            reference, _trials, calibration = self._reference(task)
            return self._calibrate(reference, calibration, replicates)

    # -- one evaluation ------------------------------------------------------------------------------------------

    def _measure(
        self, task: Task, candidate: Candidate, class_name: str, progress: _Progress
    ) -> tuple[Decision, float]:
        reference, trials, calibration = self._reference(task)
        with _Stage(progress, "load"):
            exchange = self._open(reference, candidate.source, class_name, progress)
        try:
            with _Stage(progress, "check"):
                self._guarded(lambda: self._check(exchange, trials))
            with _Stage(progress, "calibrate"):
                missing = self._config.calibration_replicates - len(calibration.medians)
                if missing > 0:
                    self._calibrate(reference, calibration, missing)
            for count in range(1, self._config.looks[-1] + 1):
                if count > 1:
                    exchange.close()
                    with _Stage(progress, "load"):
                        exchange = self._open(reference, candidate.source, class_name, progress)
                with _Stage(progress, "time"):
                    progress.replicates.append(self._replicate(reference, exchange, trials, progress))
                if count in self._config.looks:
                    decision = self._look(progress, calibration)
                    if not decision.goes_on:
                        break
            return decision, _raw_ratio(progress.replicates[0])
        finally:
            exchange.close()

    def _look(self, progress: _Progress, calibration: Calibration) -> Decision:
        clocks = compare_clocks(progress.replicates)
        if clocks.is_mismatch:
            text = f"the runner claims a saving of {clocks.claimed_ns / 1e3:.0f} us a call, the judge saw {clocks.seen_ns / 1e3:.0f}"
            raise _Ended(Status.REJECTED, text, ("clock_mismatch",))
        return decide(
            [times.log_ratios() for times in progress.replicates],
            calibration.noise,
            looks=self._config.looks,
            alpha=self._config.alpha,
            minimal_effect=self._config.minimal_effect,
        )

    def _verdict(self, decision: Decision, raw: float, progress: _Progress) -> dict:
        verdict, flags = decision.verdict, ()
        if verdict is Verdict.FASTER and not compare_clocks(progress.replicates).is_confirmed:
            verdict, flags = Verdict.UNDECIDED, ("clock_unconfirmed",)
        found = decision.estimate
        return {
            "status": Status.CORRECT,
            "verdict": verdict,
            "flags": flags,
            "speedup": Speedup(
                ratio=float(np.exp(found.center)),
                low=float(np.exp(found.low)),
                high=float(np.exp(found.high)),
                margin=decision.margin,
                pairs=sum(len(times.candidate_ns) for times in progress.replicates),
                replicates=len(progress.replicates),
                raw=raw,
                minimal_effect=decision.minimal_effect,
            ),
            "candidate_ms": _median_ms([ns for times in progress.replicates for ns in times.candidate_ns]),
            "reference_ms": _median_ms([ns for times in progress.replicates for ns in times.reference_ns]),
        }

    def _open(self, reference: Reference, source: str, class_name: str, progress: _Progress) -> Exchange:
        """A fresh runner with the candidate loaded, called once, and locked down."""
        runner = self._fork()
        progress.tiers = runner.tiers
        exchange = Exchange(reference, runner, call_timeout_s=self._config.call_timeout_s)
        try:
            self._guarded(lambda: self._load_and_lock(reference, exchange, source, class_name))
        except BaseException:
            exchange.close()
            raise
        if "seccomp" in runner.tiers:
            progress.tiers = (*runner.tiers, "lockdown")
        return exchange

    def _load_and_lock(self, reference: Reference, exchange: Exchange, source: str, class_name: str) -> None:
        exchange.load(source, class_name, self._config.load_timeout_s)
        exchange.call(reference.make_inputs(self._seed()))
        runner = exchange.runner
        if "seccomp" in runner.tiers:
            filters = runner.filter_count()
            reply = runner.ask("lock_down")
            if reply.error or not runner.is_locked_down(filters):
                raise _Ended(
                    Status.REJECTED, "the runner left processes behind or evaded the lock-down", ("background_process",)
                )

    def _check(self, exchange: Exchange, trials: list[Trial]) -> None:
        for trial in trials:
            exchange.call(trial.inputs)
            error = mismatch(exchange.outputs, trial.expected, trial.own_errors)
            if error:
                raise _Ended(Status.WRONG_OUTPUT, error)
            left = trial.inputs if trial.mutated is None else trial.mutated
            for index, (now, before) in enumerate(zip(exchange.inputs, left, strict=True)):
                if not _same_bits(now, before):
                    text = (
                        f"input {index} was changed"
                        if trial.mutated is None
                        else f"input {index} was not changed as the reference changes it"
                    )
                    raise _Ended(Status.REJECTED, text, ("mutates_input",))

    def _replicate(self, reference: Reference, candidate: Exchange, trials: list[Trial], progress: _Progress) -> Times:
        own_errors = trials[0].own_errors

        def check(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
            error = mismatch(actual, expected, own_errors)
            if error:
                raise _Ended(Status.WRONG_OUTPUT, f"in a timed call: {error}", ("stale_or_skipped",))

        opponent = self._open_reference(reference)
        try:
            times = self._guarded(
                lambda: time_pairs(
                    opponent,
                    candidate,
                    lambda: reference.make_inputs(self._seed()),
                    check,
                    pairs=self._config.pairs,
                    checks=self._config.timed_checks,
                    budget_s=_REPLICATE_BUDGET_S,
                    rng=self._rng,
                )
            )
        finally:
            opponent.close()
        progress.timed_calls += len(times.candidate_ns)
        return times

    @staticmethod
    def _guarded(work: Callable[[], _Result]) -> _Result:
        """The one boundary where a candidate's failure becomes a status."""
        try:
            return work()
        except WrongForm as error:
            raise _Ended(Status.WRONG_OUTPUT, str(error)) from None
        except ProgramFailure as error:
            is_build = error.kind in _BUILD_ERRORS or "building extension" in str(error)
            raise _Ended(Status.BUILD_ERROR if is_build else Status.RUNTIME_ERROR, str(error)) from None
        except RunnerFailure as error:
            status = {"timeout": Status.TIMEOUT, "protocol": Status.REJECTED}.get(error.kind, Status.RUNTIME_ERROR)
            flags = ("protocol_violation",) if error.kind == "protocol" else ()
            raise _Ended(status, str(error), flags) from None

    # -- references and runners ------------------------------------------------------------------------------------

    def _reference(self, task: Task) -> tuple[Reference, list[Trial], Calibration]:
        """The task's reference with its trials; only the last one is kept, since it may be large."""
        key = f"{task.key}:{task.hash}"
        if key not in self._references:
            self._references.clear()
            reference = Reference(task, self._device, self._seed())
            trials = [
                trial
                for index in range(self._config.correctness_trials)
                if (trial := reference.trial(self._seed(), is_varied=index % 2 == 1)) is not None
            ]
            calibration = Calibration(self._device, task.hash, self._config.threads, self._config.pairs)
            self._references[key] = reference, trials, calibration
        return self._references[key]

    def _calibrate(self, reference: Reference, calibration: Calibration, replicates: int) -> list[float]:
        medians = []
        for _ in range(replicates):
            one, other = self._open_reference(reference), self._open_reference(reference)
            try:
                times = time_pairs(
                    one,
                    other,
                    lambda: reference.make_inputs(self._seed()),
                    lambda _actual, _expected: None,
                    pairs=self._config.pairs,
                    checks=0,
                    budget_s=_REPLICATE_BUDGET_S,
                    rng=self._rng,
                )
            except RunnerFailure as error:
                raise EvaluatorError(f"the reference of {reference.task.key} failed in its runner: {error}") from error
            finally:
                one.close()
                other.close()
            medians.append(float(np.median(times.log_ratios())))
        calibration.add(medians)
        return medians

    def _open_reference(self, reference: Reference) -> Exchange:
        exchange = Exchange(reference, self._fork(), call_timeout_s=10 * self._config.call_timeout_s)
        try:
            exchange.load(reference.task.source, "Model", self._config.load_timeout_s)
        except (ProgramFailure, RunnerFailure) as error:
            exchange.close()
            raise UsageError(f"the reference of {reference.task.key} does not run in a runner: {error}") from error
        return exchange

    def _fork(self) -> Runner:
        if self._zygote is None:
            self._zygote = Zygote(threads=self._config.threads)
        return self._zygote.fork(
            device_index=self._index, cpus=self._cpus, threads=self._config.threads, limits=self._limits
        )

    def _seed(self) -> int:
        return self._rng.getrandbits(62)


class _Stage:
    """Adds the wall seconds of a `with` block to a stage of the progress."""

    def __init__(self, progress: _Progress, name: str) -> None:
        self._progress, self._name = progress, name

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        stages = self._progress.stages
        stages[self._name] = stages.get(self._name, 0.0) + time.monotonic() - self._started


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The judge's own tensor work stays on one thread: OpenMP's waiting threads would disturb the program being timed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _checked_device(device: str) -> str:
    if device == "cpu":
        return device
    if device == "cuda" or device.startswith("cuda:"):
        if not torch.cuda.is_available():
            raise UsageError(f"device {device!r}: this machine shows no CUDA device to torch; use --device cpu")
        index = int(device.partition(":")[2] or 0) if (device.partition(":")[2] or "0").isdigit() else -1
        if not 0 <= index < torch.cuda.device_count():
            raise UsageError(f"device {device!r}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
        return f"cuda:{index}"
    raise UsageError(f"device {device!r} is not known; use cpu, cuda or cuda:N")


def _timing_cpus(threads: int) -> list[int]:
    """The cores that programs are pinned to: the last ones, since the first serve interrupts and the judge."""
    cpus = sorted(os.sched_getaffinity(0))
    if threads > len(cpus):
        raise UsageError(f"{threads} threads were asked for, and {len(cpus)} cores may be used")
    return cpus[-threads:]


def _raw_ratio(times: Times) -> float:
    """What the published rule would say: mean of five reference times over mean of five candidate times."""
    return float(np.mean(times.reference_ns[:5]) / np.mean(times.candidate_ns[:5]))


def _median_ms(nanoseconds: list[int]) -> float:
    return float(np.median(nanoseconds)) / 1e6


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return bool(((one == other) | ((one != one) & (other != other))).all())
