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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from assay.core.errors import EvaluatorError, TaskError, UsageError
from assay.core.records import Candidate, Evaluation, Provenance, Status, Task, Verdict
from assay.evaluator.build import Build, Builder
from assay.evaluator.calibration import device_name
from assay.evaluator.checks import check_outputs, lock_down, require_room, timed_check
from assay.evaluator.config import DEFAULT_CONFIG, EvaluatorConfig
from assay.evaluator.exchange import Exchange
from assay.evaluator.plausibility import ceilings
from assay.evaluator.processes import Limits, Runner, Zygote
from assay.evaluator.progress import Ended, Progress, guarded, lie, outcome
from assay.evaluator.session import Session
from assay.evaluator.spares import Spares
from assay.evaluator.timing import Times, Witness, compare_clocks
from assay.stats.sequential import Decision, decide

_SPARE_RUNNERS_ON_CUDA = 2
_ERROR_LIMIT = 4000
_CLOSING = "the judge is being closed"


@dataclass(frozen=True)
class Program:
    """A candidate as it is opened, once for each replicate."""

    source: str
    class_name: str
    build: Build | None


class Judge:
    """Implements `core.protocols.Evaluator` for one device; evaluations are made one at a time (the timing lease)."""

    def __init__(
        self, device: str = "cpu", config: EvaluatorConfig | None = None, *, lane: int = 0, lanes: int = 1
    ) -> None:
        """`lane`: which of `lanes` judges this is that time programs at once, each on CPU cores of its own."""
        self._config = config or DEFAULT_CONFIG
        self._device = _checked_device(device)
        self._cpus, self._all_timing_cpus = _timing_cpus(self._config.threads, lane, lanes)
        self._zygote: Zygote | None = None
        self._spares: Spares | None = None
        self._session: Session | None = None
        self._lease = threading.Lock()
        self._is_closing = False
        self._starting = threading.Lock()
        self._builder = Builder(
            self._fork_builder,
            workers=max(1, (len(os.sched_getaffinity(0)) - len(self._all_timing_cpus)) // 2 // lanes),
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
        progress = Progress()
        try:
            with progress.stage("build"):
                build = guarded(lambda: self._builder.prepare(candidate))
            with self._lease, _one_thread():
                session = self._opened(task)
                if is_fresh:
                    session.forget_trials()
                outcome = self._measure(session, Program(candidate.source, class_name, build), progress)
        except Ended as ended:
            outcome = {"status": ended.status, "error": str(ended)[:_ERROR_LIMIT], "flags": ended.flags}
        return Evaluation(
            task_key=task.key,
            candidate_hash=candidate.hash,
            timed_calls=sum(len(times.candidate_ns) for times in progress.replicates),
            seconds=time.monotonic() - started,
            provenance=Provenance(
                device=f"{self._device} ({device_name(self._device)})",
                sandbox=progress.tiers,
                facts={**progress.facts(), "load_average": os.getloadavg()[0], "torch": torch.__version__},
            ),
            **outcome,
        )

    # -- one evaluation ------------------------------------------------------------------------------------------

    def _measure(self, session: Session, program: Program, progress: Progress) -> dict[str, Any]:
        config = self._config
        with progress.stage("calibrate"):  # before the candidate is there to disturb it
            session.ensure_calibrated()
        exchange = self._open(session, program, progress)
        try:
            require_room(session)
            with progress.stage("check"):
                guarded(lambda: check_outputs(exchange, session))
            for look in config.looks:
                while len(progress.replicates) < look:
                    if progress.replicates:
                        exchange.close()
                        exchange = self._open(session, program, progress)
                    with progress.stage("time"):
                        progress.replicates.append(self._replicate(session, exchange))
                decision = self._look(progress, session)
                is_unconfirmed = False
                if decision.verdict is Verdict.FASTER:
                    with progress.stage("witness"):
                        is_unconfirmed = not self._is_witnessed(session, exchange, progress)
                    decision = self._look(progress, session)  # of what is left of the claim
                if not decision.goes_on and not (is_unconfirmed and look < config.looks[-1]):
                    return outcome(decision, progress, is_unconfirmed=is_unconfirmed)
        finally:
            exchange.close()
        raise AssertionError("the last look always ends an evaluation")

    def _open(self, session: Session, program: Program, progress: Progress) -> Exchange:
        """A fresh runner with the candidate loaded, called once, and locked down."""
        with progress.stage("load"):
            exchange = guarded(lambda: session.open(program.source, program.class_name, program.build))
            try:
                progress.tiers = exchange.runner.tiers
                guarded(lambda: exchange.call(session.make_inputs()))
                guarded(lambda: lock_down(exchange.runner))
                if "seccomp" in exchange.runner.tiers:
                    progress.tiers = (*exchange.runner.tiers, "lockdown")
                if program.build is not None:
                    program.build.seal()
            except BaseException:
                exchange.close()
                raise
            return exchange

    def _replicate(self, session: Session, exchange: Exchange) -> Times:
        return guarded(lambda: session.replicate(exchange, timed_check(session)))

    def _is_witnessed(self, session: Session, exchange: Exchange, progress: Progress) -> bool:
        """Whether the judge's own clock sees the saving that a program is about to be called faster for."""
        clocks = compare_clocks(progress.replicates)
        share, before = clocks.claimed_share, progress.witness.times

        def is_enough(times: Times) -> bool:
            seen = Witness(before + times)
            return seen.confirms(share) or seen.refutes()

        times = guarded(lambda: session.witness(exchange, timed_check(session), is_enough))
        witness = progress.witness = Witness(before + times)
        if witness.refutes():
            told = compare_clocks([witness.times])
            raise Ended(Status.REJECTED, lie(told.claimed_ns, told.seen_ns), ("clock_mismatch",))
        progress.unseen_ns = witness.unseen_share(share) * clocks.reference_ns
        return witness.confirms(share)

    def _look(self, progress: Progress, session: Session) -> Decision:
        clocks = compare_clocks(progress.replicates)
        if clocks.is_mismatch:
            raise Ended(Status.REJECTED, lie(clocks.claimed_ns, clocks.seen_ns), ("clock_mismatch",))
        self._require_plausible(progress, session)
        return decide(
            [times.log_ratios() for times in progress.believed()],
            session.calibration.noise,
            looks=self._config.looks,
            alpha=self._config.alpha,
            minimal_effect=self._config.minimal_effect,
            settle=self._config.settle,
        )

    def _require_plausible(self, progress: Progress, session: Session) -> None:
        """Quarantines what is faster than moving its data; the device's rates are measured again before it is
        accused.
        """
        typical_ns = float(np.median([ns for times in progress.replicates for ns in times.candidate_ns]))
        floor_ns = session.least_work.floor_ns(ceilings(self._device))
        if typical_ns < floor_ns:
            floor_ns = session.least_work.floor_ns(ceilings(self._device, is_fresh=True))
        if typical_ns < floor_ns:
            text = f"{typical_ns / 1e3:.1f} us a call, where moving the data alone takes {floor_ns / 1e3:.1f} us"
            raise Ended(Status.REJECTED, text, ("implausible",))

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
        others = sorted(os.sched_getaffinity(0) - set(self._all_timing_cpus))
        return self._fork(None, others or self._cpus)

    def _fork(self, device_index: int | None, cpus: list[int]) -> Runner:
        limits = Limits(
            memory_bytes=self._config.memory_mb << 20,
            file_bytes=self._config.file_mb << 20,
            processes=self._config.processes,
        )
        if self._is_closing:
            raise EvaluatorError(_CLOSING)
        with self._starting:
            if self._zygote is None:
                self._zygote = Zygote(threads=self._config.threads, is_cuda=self._device != "cpu")
        runner = self._zygote.fork(device_index=device_index, cpus=cpus, threads=self._config.threads, limits=limits)
        if self._is_closing:  # it was being forked when the others were killed
            runner.kill()
            raise EvaluatorError(_CLOSING)
        return runner


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


def _timing_cpus(threads: int, lane: int, lanes: int) -> tuple[list[int], list[int]]:
    """The cores that this judge's programs are pinned to, and those of all judges: the last ones of the machine.

    The first ones serve interrupts and the judges.
    """
    cpus = sorted(os.sched_getaffinity(0))
    if threads * lanes > len(cpus):
        judges = f" for each of {lanes} devices" if lanes > 1 else ""
        raise UsageError(f"{threads} threads were asked for{judges}, and {len(cpus)} cores may be used")
    first = len(cpus) - threads * (lane + 1)
    return cpus[first : first + threads], cpus[len(cpus) - threads * lanes :]
