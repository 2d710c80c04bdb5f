"""The judge: one a device. It holds the task, the secret inputs, the expected outputs, the wall clock and the verdict.

Evaluation of a candidate: a fresh runner loads it (compilers allowed), is locked down, and must compute what the
reference computes on fresh inputs of the task's own and of another distribution. Then replicates are timed, each a
fresh process of reference and candidate, until a look at the interval decides (stats/sequential.py).
"""

import asyncio
import contextlib
import os
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch

from assay.core.errors import EvaluatorError, TaskError, UsageError
from assay.core.records import Candidate, Evaluation, Provenance, Speedup, Status, Task, Verdict
from assay.evaluator.build import Build, Builder
from assay.evaluator.calibration import device_name
from assay.evaluator.config import DEFAULT_CONFIG, EvaluatorConfig
from assay.evaluator.correctness import mismatch, same_bits
from assay.evaluator.exchange import Exchange, ReferenceFailure, WrongForm
from assay.evaluator.plausibility import ceilings
from assay.evaluator.processes import Limits, ProgramFailure, Runner, RunnerFailure, Zygote
from assay.evaluator.session import Session
from assay.evaluator.spares import Spares
from assay.evaluator.timing import Times, compare_clocks
from assay.stats.sequential import Decision, decide

_SPARE_RUNNERS_ON_CUDA = 2
_ERROR_LIMIT = 4000
_BUILD_ERRORS = ("SyntaxError", "CalledProcessError", "CompilationError", "CppCompileError")
_Result = TypeVar("_Result")


class _Ended(Exception):
    """An evaluation that ends before a verdict."""

    def __init__(self, status: Status, error: str, flags: tuple[str, ...] = ()) -> None:
        super().__init__(error)
        self.status = status
        self.flags = flags


@dataclass(frozen=True)
class _Program:
    """A candidate as it is opened, once for each replicate."""

    source: str
    class_name: str
    build: Build | None


@dataclass
class _Progress:
    """What one evaluation has gathered so far; `stages` are wall seconds."""

    replicates: list[Times] = field(default_factory=list)
    tiers: tuple[str, ...] = ()
    stages: dict[str, float] = field(default_factory=dict)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the wall time of a `with` block to stage `name`."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.stages[name] = self.stages.get(name, 0.0) + time.monotonic() - started


class Judge:
    """Implements `core.protocols.Evaluator` for one device; evaluations are made one at a time (the timing lease)."""

    def __init__(self, device: str = "cpu", config: EvaluatorConfig | None = None) -> None:
        self._config = config or DEFAULT_CONFIG
        self._device = _checked_device(device)
        self._cpus = _timing_cpus(self._config.threads)
        self._zygote: Zygote | None = None
        self._spares: Spares | None = None
        self._session: Session | None = None
        self._lease = threading.Lock()
        self._is_closing = False
        self._starting = threading.Lock()
        self._builder = Builder(
            self._fork_builder,
            workers=max(1, (len(os.sched_getaffinity(0)) - self._config.threads) // 2),
            timeout_s=self._config.build_timeout_s,
            architecture=None if self._device == "cpu" else torch.cuda.get_device_capability(self._device),
        )
        self._rng = random.Random(secrets.randbits(128))

    @property
    def device(self) -> str:
        """The device that programs run on."""
        return self._device

    async def evaluate(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.evaluate`."""
        return await asyncio.to_thread(self.evaluate_now, task, candidate)

    async def remeasure(self, task: Task, candidate: Candidate) -> Evaluation:
        """See `core.protocols.Evaluator.remeasure`: fresh processes, and inputs that no evaluation has used."""
        return await asyncio.to_thread(self.evaluate_now, task, candidate, is_fresh=True)

    async def close(self) -> None:
        """See `close_now`."""
        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Ends the zygote and its runners, an evaluation in hand included: nobody waits for a program that hangs."""
        self._is_closing = True
        if self._zygote is not None:
            self._zygote.kill_runners()
        with self._lease:
            if self._session is not None:
                self._session.close()
            if self._spares is not None:
                self._spares.close()
            if self._zygote is not None:
                self._zygote.close()
            self._session = self._spares = self._zygote = None
            self._is_closing = False

    def evaluate_now(
        self, task: Task, candidate: Candidate, class_name: str = "ModelNew", *, is_fresh: bool = False
    ) -> Evaluation:
        """`evaluate`, blocking. `class_name` is the class that the candidate's module defines.

        is_fresh: draws new correctness trials; otherwise candidates of one task in a row share theirs (timed calls
        never share inputs).
        """
        started = time.monotonic()
        progress = _Progress()
        try:
            with progress.stage("build"):
                build = _guarded(lambda: self._builder.prepare(candidate))
            with self._lease, _one_thread():
                session = self._opened(task)
                if is_fresh:
                    session.forget_trials()
                outcome = self._measure(session, _Program(candidate.source, class_name, build), progress)
        except _Ended as ended:
            outcome = {"status": ended.status, "error": str(ended)[:_ERROR_LIMIT], "flags": ended.flags}
        return Evaluation(
            task_key=task.key,
            candidate_hash=candidate.hash,
            timed_calls=sum(len(times.candidate_ns) for times in progress.replicates),
            seconds=time.monotonic() - started,
            provenance=Provenance(
                device=f"{self._device} ({device_name(self._device)})",
                sandbox=progress.tiers,
                facts={"stage_s": progress.stages, "load_average": os.getloadavg()[0], "torch": torch.__version__},
            ),
            **outcome,
        )

    # -- one evaluation ------------------------------------------------------------------------------------------

    def _measure(self, session: Session, program: _Program, progress: _Progress) -> dict[str, Any]:
        config = self._config
        with progress.stage("calibrate"):  # before the candidate is there to disturb it
            session.ensure_calibrated()
        exchange = self._open(session, program, progress)
        try:
            _leave_room(session)
            with progress.stage("check"):
                _guarded(lambda: _check(exchange, session))
            for look in config.looks:
                while len(progress.replicates) < look:
                    if progress.replicates:
                        exchange.close()
                        exchange = self._open(session, program, progress)
                    with progress.stage("time"):
                        progress.replicates.append(self._replicate(session, exchange))
                decision = self._look(progress, session)
                is_unconfirmed = (
                    decision.verdict is Verdict.FASTER and not compare_clocks(progress.replicates).is_confirmed
                )
                if not decision.goes_on and not (is_unconfirmed and look < config.looks[-1]):
                    return _outcome(decision, progress, is_unconfirmed=is_unconfirmed)
        finally:
            exchange.close()
        raise AssertionError("the last look always ends an evaluation")

    def _open(self, session: Session, program: _Program, progress: _Progress) -> Exchange:
        """A fresh runner with the candidate loaded, called once, and locked down."""
        with progress.stage("load"):
            exchange = _guarded(lambda: session.open(program.source, program.class_name, program.build))
            try:
                progress.tiers = exchange.runner.tiers
                _guarded(lambda: exchange.call(session.make_inputs()))
                _guarded(lambda: _lock_down(exchange.runner))
                if "seccomp" in exchange.runner.tiers:
                    progress.tiers = (*exchange.runner.tiers, "lockdown")
                if program.build is not None:
                    program.build.seal()
            except BaseException:
                exchange.close()
                raise
            return exchange

    def _replicate(self, session: Session, exchange: Exchange) -> Times:
        return _guarded(lambda: session.replicate(exchange, _timed_check(session)))

    def _look(self, progress: _Progress, session: Session) -> Decision:
        clocks = compare_clocks(progress.replicates)
        if clocks.is_mismatch:
            claimed, seen = clocks.claimed_ns / 1e3, clocks.seen_ns / 1e3
            text = f"the runner claims to save {claimed:.0f} us a call, the judge's clock saw {seen:.0f} us"
            raise _Ended(Status.REJECTED, text, ("clock_mismatch",))
        self._require_plausible(progress, session)
        return decide(
            [times.believed().log_ratios() for times in progress.replicates],
            session.calibration.noise,
            looks=self._config.looks,
            alpha=self._config.alpha,
            minimal_effect=self._config.minimal_effect,
        )

    def _require_plausible(self, progress: _Progress, session: Session) -> None:
        """Quarantines what is faster than moving its data; the device's rates are measured again before it is
        accused.
        """
        typical_ns = float(np.median([ns for times in progress.replicates for ns in times.candidate_ns]))
        floor_ns = session.least_work.floor_ns(ceilings(self._device))
        if typical_ns < floor_ns:
            floor_ns = session.least_work.floor_ns(ceilings(self._device, is_fresh=True))
        if typical_ns < floor_ns:
            text = f"{typical_ns / 1e3:.1f} us a call, where moving the data alone takes {floor_ns / 1e3:.1f} us"
            raise _Ended(Status.REJECTED, text, ("implausible",))

    # -- the task and the processes that are open ------------------------------------------------------------------

    def _opened(self, task: Task) -> Session:
        """The session of `task`; only the last one is kept, since its tensors may be large."""
        if self._session is None or self._session.reference.task != task:
            if self._session is not None:
                self._session.close()
                self._session = None
            if self._spares is None:
                self._spares = Spares(self._fork_runner, 0 if self._device == "cpu" else _SPARE_RUNNERS_ON_CUDA)
            session = Session(task, self._device, self._config, self._spares, self._rng)
            if session.reference.is_random:
                session.close()
                raise TaskError(
                    f"task {task.key}: its reference gives different outputs for the same inputs (dropout, or another"
                    " draw of random numbers), so that nothing can be said to equal it; make it deterministic, for"
                    " example with eval()"
                )
            self._session = session
        return self._session

    def _fork_runner(self) -> Runner:
        index = None if self._device == "cpu" else torch.device(self._device).index
        return self._fork(index, self._cpus)

    def _fork_builder(self) -> Runner:
        """Compilers stay off the cores that programs are timed on, where there are others."""
        others = sorted(os.sched_getaffinity(0) - set(self._cpus))
        return self._fork(None, others or self._cpus)

    def _fork(self, device_index: int | None, cpus: list[int]) -> Runner:
        limits = Limits(
            memory_bytes=self._config.memory_mb << 20,
            file_bytes=self._config.file_mb << 20,
            processes=self._config.processes,
        )
        if self._is_closing:
            raise EvaluatorError("the judge is being closed")
        with self._starting:
            if self._zygote is None:
                self._zygote = Zygote(threads=self._config.threads, is_cuda=self._device != "cpu")
        return self._zygote.fork(device_index=device_index, cpus=cpus, threads=self._config.threads, limits=limits)


def _guarded(work: Callable[[], _Result]) -> _Result:
    """The one boundary where a candidate's failure becomes a status."""
    try:
        return work()
    except WrongForm as error:
        raise _Ended(Status.WRONG_OUTPUT, str(error)) from None
    except ProgramFailure as error:
        is_build = error.stage == "build" or error.kind in _BUILD_ERRORS or "building extension" in str(error)
        raise _Ended(Status.BUILD_ERROR if is_build else Status.RUNTIME_ERROR, str(error)) from None
    except torch.OutOfMemoryError as error:
        raise _Ended(Status.RUNTIME_ERROR, f"beside this program the device has too little memory: {error}") from None
    except ReferenceFailure as error:
        raise _Ended(Status.RUNTIME_ERROR, str(error), ("reference_failed",)) from None
    except RunnerFailure as error:
        status = {"timeout": Status.TIMEOUT, "protocol": Status.REJECTED}.get(error.kind, Status.RUNTIME_ERROR)
        flags = ("protocol_violation",) if error.kind == "protocol" else ()
        raise _Ended(status, str(error), flags) from None


def _lock_down(runner: Runner) -> None:
    """Takes away new processes, and verifies it from outside: the runner's own word is worth nothing."""
    flag = ("background_process",)
    if "seccomp" in runner.tiers:
        filters = runner.filter_count()
        reply = runner.ask("lock_down")
        if reply.error or runner.filter_count() <= filters:
            raise _Ended(Status.REJECTED, "the runner evaded the lock-down", flag)
    if runner.has_children():
        raise _Ended(Status.REJECTED, "the program left processes behind when it was loaded", flag)


def _leave_room(session: Session) -> None:
    """A program that has taken the device's memory would make the reference fail, not itself."""
    free_bytes, needed_bytes = session.free_bytes(), session.reference.peak_bytes
    if free_bytes is not None and free_bytes < needed_bytes:
        text = f"the program leaves {free_bytes >> 20} MB of device memory, the reference needs {needed_bytes >> 20} MB"
        raise _Ended(Status.REJECTED, text, ("memory",))


def _check(exchange: Exchange, session: Session) -> None:
    """Correctness trials: outputs, and inputs left as the reference leaves them."""
    for trial in session.trials():
        exchange.call(trial.inputs)
        error = mismatch(exchange.outputs, trial.expected, trial.own_errors)
        if error:
            raise _Ended(Status.WRONG_OUTPUT, error)
        left = trial.inputs if trial.mutated is None else trial.mutated
        for index, (now, before) in enumerate(zip(exchange.inputs, left, strict=True)):
            if not same_bits(now, before):
                text = f"input {index} is not left as the reference leaves it"
                raise _Ended(Status.REJECTED, text, ("mutates_input",))


def _timed_check(session: Session) -> Callable[[list[torch.Tensor], list[torch.Tensor]], None]:
    """Verifies an output of a timed call against the reference's output of the same call."""

    def check(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> None:
        error = mismatch(actual, expected, session.own_errors)
        if error:
            raise _Ended(Status.WRONG_OUTPUT, f"in a timed call: {error}", ("wrong_when_timed",))

    return check


def _outcome(decision: Decision, progress: _Progress, *, is_unconfirmed: bool) -> dict[str, Any]:
    """The fields of an evaluation that has been measured to its end."""
    verdict, flags = (Verdict.UNDECIDED, ("clock_unconfirmed",)) if is_unconfirmed else (decision.verdict, ())
    replicates = [times.believed() for times in progress.replicates]
    found, first = decision.estimate, replicates[0]
    return {
        "status": Status.CORRECT,
        "verdict": verdict,
        "flags": flags,
        "speedup": Speedup(
            ratio=float(np.exp(found.center)),
            low=float(np.exp(found.low)),
            high=float(np.exp(found.high)),
            margin=decision.margin,
            pairs=sum(len(times.candidate_ns) for times in replicates),
            replicates=len(replicates),
            raw=float(np.mean(first.reference_ns[:5]) / np.mean(first.candidate_ns[:5])),
            minimal_effect=decision.minimal_effect,
        ),
        "candidate_ms": float(np.median([ns for t in replicates for ns in t.candidate_ns])) / 1e6,
        "reference_ms": float(np.median([ns for t in replicates for ns in t.reference_ns])) / 1e6,
    }


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """The judge's own tensor work stays on one thread: OpenMP's waiting threads would disturb what is being timed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _checked_device(device: str) -> str:
    if device == "cpu":
        return device
    kind, _colon, number = device.partition(":")
    if kind != "cuda" or not (number or "0").isdigit():
        raise UsageError(f"device {device!r} is not known; use cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise UsageError(f"device {device!r}: torch sees no CUDA device on this machine; use --device cpu")
    if int(number or 0) >= torch.cuda.device_count():
        raise UsageError(f"device {device!r}: there are {torch.cuda.device_count()} CUDA devices, counted from 0")
    return f"cuda:{number or 0}"


def _timing_cpus(threads: int) -> list[int]:
    """The cores that programs are pinned to: the last ones, since the first serve interrupts and the judge."""
    cpus = sorted(os.sched_getaffinity(0))
    if threads > len(cpus):
        raise UsageError(f"{threads} threads were asked for, and {len(cpus)} cores may be used")
    return cpus[-threads:]
