"""One task on one device: its reference, its trials, its A/A noise, and the exchanges that programs are timed in."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch

from assay.core.errors import TaskError
from assay.core.records import Task
from assay.evaluator.build import Build
from assay.evaluator.bundles import Bundle, allocate, plan
from assay.evaluator.calibration import Calibration
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.correctness import Tolerance
from assay.evaluator.exchange import Exchange, ReferenceFailure, WrongForm
from assay.evaluator.plausibility import least_work
from assay.evaluator.processes import ProgramFailure, RunnerFailure
from assay.evaluator.reference import Reference, Trial
from assay.evaluator.spares import Spares
from assay.evaluator.timing import Times, time_pairs, witness_pairs

_REPLICATE_BUDGET_S = 20.0
_WITNESS_BUDGET_S = 4.0
_KEPT_TRIAL_BYTES = 1 << 30
_LARGE_BYTES = 1 << 30
_NOISY_BIAS = 0.02
_REFERENCE_PATIENCE = 10  # a reference may take this many times longer than a candidate before it is given up

Check = Callable[[list[torch.Tensor], list[torch.Tensor]], None]


class Session:
    """Made by the judge for a task, and kept while candidates of the same task come."""

    def __init__(self, task: Task, device: str, config: EvaluatorConfig, spares: Spares, rng: random.Random) -> None:
        self._config = config
        self._spares = spares
        self._rng = rng
        self.reference = Reference(task, device, self._seed())
        self.least_work = least_work(self.reference)
        self.calibration = Calibration(device, task.hash, config.threads, config.pairs)
        self._trials: list[Trial] | None = None
        self._is_cuda = self.reference.device.type == "cuda"
        self._inputs: Bundle | None = None  # on a GPU all programs share one set of input buffers
        self._flush: torch.Tensor | None = None
        if self._is_cuda:
            self._inputs = allocate(plan(self.reference.input_forms), self.reference.device)
            l2_bytes = torch.cuda.get_device_properties(self.reference.device).L2_cache_size
            self._flush = torch.zeros(max(2 * l2_bytes, 1 << 20), dtype=torch.uint8, device=self.reference.device)
        self._opener = ThreadPoolExecutor(1, "assay-opponent")
        self._opponent: Future[Exchange] | None = None  # a reference opened ahead, while a candidate is loaded
        self.own_errors: tuple[Tolerance | None, ...] = (None,) * len(self.reference.output_forms)

    def close(self) -> None:
        """Ends the opponent that was opened ahead, and frees the session's device memory."""
        if self._opponent is not None and self._opponent.exception() is None:
            self._opponent.result().close()
        self._opener.shutdown()
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None

    def free_bytes(self) -> int | None:
        """Device memory that is free now; None on a CPU."""
        if not self._is_cuda:
            return None
        torch.cuda.empty_cache()
        return torch.cuda.mem_get_info(self.reference.device)[0]

    def trials(self) -> Iterator[Trial]:
        """Correctness trials, the odd ones from another distribution than the task's own; kept if they are small."""
        if self._trials is not None:
            yield from self._trials
            return
        kept = []
        is_kept = self.reference.nbytes * self._config.correctness_trials < _KEPT_TRIAL_BYTES
        for index in range(self._config.correctness_trials):
            trial = self.reference.trial(self._seed(), is_varied=index % 2 == 1)
            if trial is not None:
                if index == 0:  # timed calls are on the task's own distribution, as this trial is
                    self.own_errors = trial.own_errors
                kept += [trial] if is_kept else []
                yield trial
        if is_kept:
            self._trials = kept

    def forget_trials(self) -> None:
        """The next evaluation draws new ones."""
        self._trials = None

    def make_inputs(self) -> list[torch.Tensor]:
        """Inputs that no program has seen."""
        return self.reference.make_inputs(self._seed())

    def open(self, source: str, class_name: str, build: Build | None = None) -> Exchange:
        """A fresh runner with `source` loaded; raises ProgramFailure or RunnerFailure with the runner killed."""
        if self._is_cuda and self.reference.nbytes > _LARGE_BYTES:
            torch.cuda.empty_cache()  # what torch keeps for later in this process is not free for a runner
        exchange = Exchange(
            self.reference,
            self._spares.take(),
            call_timeout_s=self._config.call_timeout_s,
            threads=self._config.threads,
            inputs=self._inputs,
            flush=self._flush,
        )
        try:
            exchange.load(source, class_name, build, self._config.load_timeout_s)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def open_reference(self) -> Exchange:
        """A fresh runner with the reference in it; its failure is the task's fault."""
        try:
            exchange = self.open(self.reference.task.source, "Model")
        except (ProgramFailure, RunnerFailure) as error:
            raise TaskError(f"the reference of {self.reference.task.key} does not run in a runner: {error}") from error
        exchange.is_reference = True
        exchange.call_timeout_s *= _REFERENCE_PATIENCE
        return exchange

    def open_ahead(self) -> None:
        """Opens the next opponent in the background, on a GPU with room for it (the device is not being timed)."""
        if self._is_cuda and self._opponent is None and self.reference.nbytes <= _LARGE_BYTES:
            self._opponent = self._opener.submit(self._open_quietly)

    def _open_quietly(self) -> Exchange:
        with self._spares.quiet():
            return self.open_reference()

    def _next_opponent(self) -> Exchange:
        ahead, self._opponent = self._opponent, None
        return ahead.result() if ahead is not None else self.open_reference()

    def replicate(self, candidate: Exchange, check: Check) -> Times:
        """Times `candidate` against a fresh reference process."""
        opponent = self._next_opponent()
        try:
            with self._spares.quiet():
                times = time_pairs(
                    opponent,
                    candidate,
                    self.make_inputs,
                    check,
                    pairs=self._config.pairs,
                    budget_s=_REPLICATE_BUDGET_S,
                    rng=self._rng,
                )
        finally:
            opponent.close()
        self.open_ahead()
        return times

    def witness(self, candidate: Exchange, check: Check, is_enough: Callable[[Times], bool]) -> Times:
        """Bare calls of `candidate` beside a fresh reference process, for the judge's clock.

        More pairs are made until `is_enough` says so, for `_WITNESS_BUDGET_S` at most.
        """
        opponent = self._next_opponent()
        times = Times()
        started = time.monotonic()
        try:
            with self._spares.quiet():
                while not is_enough(times) and time.monotonic() - started < _WITNESS_BUDGET_S:
                    times += witness_pairs(opponent, candidate, self.make_inputs, check, self._rng)
        finally:
            opponent.close()
        self.open_ahead()
        return times

    def ensure_calibrated(self) -> None:
        """Measures the A/A noise if it is not known, or once again if what is known comes from a noisy moment long ago.

        Noise that is still there is the task's own, and measuring it takes longer than most evaluations.
        """
        missing = self._config.calibration_replicates - len(self.calibration.medians)
        if missing > 0:
            self.calibration.add(self._aa_medians(missing))
        elif self.calibration.noise.bias > _NOISY_BIAS and not self.calibration.is_recent:
            self.calibration.replace(self._aa_medians(self._config.calibration_replicates))

    def _aa_medians(self, replicates: int) -> list[float]:
        """Medians (log ratios) of fresh A/A replicates."""
        medians = []
        for _ in range(replicates):
            other = self.open_reference()
            try:
                times = self.replicate(other, lambda _actual, _expected: None)
            except (ReferenceFailure, ProgramFailure, RunnerFailure, WrongForm) as error:
                raise TaskError(f"the reference of {self.reference.task.key} fails against itself: {error}") from error
            finally:
                other.close()
            medians.append(float(np.median(times.log_ratios())))
        return medians

    def _seed(self) -> int:
        return self._rng.getrandbits(62)
