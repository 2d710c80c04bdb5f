"""KernelBench's published rule as an evaluator, so that its numbers can stand beside ours for the same candidates.

Source: Ouyang et al. 2025 (arXiv 2502.10517), as the repository ScalingIntelligence/KernelBench had it at commit
423217d9fda91e0c2d67e4a43bf62f96f6d104f1: outputs are compared by |a - e| <= atol + rtol |e| with atol = rtol = 1e-4
(1e-2 for float16 and bfloat16) on inputs of the task's own distribution, both models are built from the same seed,
three calls warm up, one is discarded, and the speedup is the ratio of the means of two separate series on one set of
inputs. (Versions 0 and 0.1 allowed 1e-2 for float32.)

What is ours: programs are built and run in forked, sandboxed runners; outputs are compared in the judge; the seed is
secret where the published one is 42, since who knows the seed knows the inputs; a wrong dtype or structure is a wrong
output; programs run at the task's own dtypes and also on a CPU. Nothing else is defended: no paired timing, no
interval, no second clock, no check of what a timed call returned, and no verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from assay.core.errors import UsageError
from assay.core.records import Candidate, Evaluation, Speedup, Status, Task
from assay.evaluator.config import EvaluatorConfig, Rule
from assay.evaluator.correctness import chunks
from assay.evaluator.exchange import Exchange, WrongForm
from assay.evaluator.judge import Judge, Program
from assay.evaluator.progress import Progress, guarded
from assay.evaluator.session import Session
from assay.evaluator.timing import Times

WARM_UPS = 3
DISCARDED = 1
TOLERANCE = 1e-4
TOLERANCES = {torch.float16: 1e-2, torch.bfloat16: 1e-2}


@dataclass(frozen=True)
class Trials:
    """How often outputs are compared, and how many calls are timed."""

    correctness: int
    timing: int


TRIALS: dict[Rule, Trials] = {"kernelbench-fast": Trials(1, 5), "kernelbench-full": Trials(5, 50)}


def published_mismatch(actual: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> str | None:
    """Why `actual` is not `expected` by the published tolerances, or None; NaN never equals NaN."""
    for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
        allowed = TOLERANCES.get(e.dtype, TOLERANCE)
        pairs = list(zip(chunks(a), chunks(e), strict=True))
        if not all(torch.allclose(one, other, rtol=allowed, atol=allowed) for one, other in pairs):
            worst = max(float((one.double() - other.double()).abs().max()) for one, other in pairs)
            return f"output {index}: differs by up to {worst:.2e}; allowed {allowed:g} + {allowed:g} |expected|"
    return None


class KernelBenchJudge(Judge):
    """Implements `core.protocols.Evaluator` by the published rule.

    A correct program's `Speedup` has ratio = raw = mean reference time / mean candidate time. The rule knows no
    interval, so low = high = ratio, margin = 0, pairs = timed calls of each side (which are not pairs), replicates = 1,
    and the evaluation has no verdict. `candidate_ms` and `reference_ms` are means.
    """

    def __init__(self, device: str, config: EvaluatorConfig, *, lane: int = 0, lanes: int = 1) -> None:
        if config.rule not in TRIALS:
            raise UsageError(f"evaluator.rule {config.rule}: the published rule is {' or '.join(TRIALS)}")
        super().__init__(device, config, lane=lane, lanes=lanes)
        self._rule: Rule = config.rule
        self._counts = TRIALS[config.rule]

    def evaluate_now(
        self, task: Task, candidate: Candidate, class_name: str = "ModelNew", *, is_fresh: bool = False
    ) -> Evaluation:
        """See `Judge.evaluate_now`; the provenance names the rule."""
        found = super().evaluate_now(task, candidate, class_name, is_fresh=is_fresh)
        return found.model_copy(
            update={"provenance": found.provenance.model_copy(update={"evaluator": str(self._rule)})}
        )

    def _opened(self, task: Task) -> Session:
        session = super()._opened(task)
        session.reference.state = {}  # weights come from the seed alone, not from the reference
        return session

    def _measure(self, session: Session, program: Program, progress: Progress) -> dict[str, Any]:
        exchange = self._open(session, program, progress)
        try:
            with progress.stage("check"):
                guarded(lambda: self._check(exchange, session))
            inputs = session.make_inputs()
            with progress.stage("time"):
                candidate_ns = guarded(lambda: self._series(exchange, inputs))
        finally:
            exchange.close()
        opponent = session.open_reference()
        try:
            with progress.stage("time"):
                reference_ns = self._series(opponent, inputs)
        finally:
            opponent.close()
        progress.replicates.append(Times(reference_ns, candidate_ns))
        reference_ms, candidate_ms = (float(np.mean(series)) / 1e6 for series in (reference_ns, candidate_ns))
        ratio = reference_ms / candidate_ms
        return {
            "status": Status.CORRECT,
            "speedup": Speedup(
                ratio=ratio, low=ratio, high=ratio, margin=0.0, pairs=len(candidate_ns), replicates=1, raw=ratio
            ),
            "candidate_ms": candidate_ms,
            "reference_ms": reference_ms,
        }

    def _check(self, exchange: Exchange, session: Session) -> None:
        for _ in range(self._counts.correctness):
            inputs = session.make_inputs()
            expected = session.reference.outputs([tensor.clone() for tensor in inputs])
            exchange.call(inputs)
            error = published_mismatch(exchange.outputs, expected)
            if error:
                raise WrongForm(error)

    def _series(self, exchange: Exchange, inputs: list[torch.Tensor]) -> list[int]:
        """Nanoseconds of each timed call, by the runner's own clock, from a flushed cache, launches included."""
        calls = [exchange.call(inputs) for _ in range(WARM_UPS + DISCARDED + self._counts.timing)]
        return [call.plain_ns for call in calls[WARM_UPS + DISCARDED :]]
