"""KernelBench's published rule in our runners: what it accepts that the judge does not, and the reverse."""

from collections.abc import Iterator

import pytest
import torch

from assay.core.errors import UsageError
from assay.core.records import Candidate, Status, Task
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.kernelbench_mode import KernelBenchJudge, published_mismatch

HEAD = "import torch\nimport torch.nn as nn\n\n"
LAYERS = "        self.a = nn.Linear(64, 64)\n        self.b = nn.Linear(64, 64)\n"
SOURCE = f"""{HEAD}
class Model(nn.Module):
    def __init__(self):
        super().__init__()
{LAYERS}
    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def get_inputs():
    return [torch.randn(64, 64)]


def get_init_inputs():
    return []
"""
TASK = Task(suite="tests", id="two_layers", name="two_layers", source=SOURCE)


def _candidate(value: str = "self.b(torch.tanh(self.a(x)))", layers: str = LAYERS) -> Candidate:
    return Candidate(
        source=f"{HEAD}class ModelNew(nn.Module):\n    def __init__(self):\n        super().__init__()\n{layers}\n"
        f"    def forward(self, x):\n        return {value}\n"
    )


@pytest.fixture(scope="module")
def published() -> Iterator[KernelBenchJudge]:
    judge = KernelBenchJudge("cpu", EvaluatorConfig(rule="kernelbench-fast", call_timeout_s=3, load_timeout_s=20))
    yield judge
    judge.close_now()


def test_a_correct_program_has_the_ratio_of_means_and_no_verdict(published: KernelBenchJudge):
    found = published.evaluate_now(TASK, _candidate())
    assert found.status is Status.CORRECT and found.verdict is None
    assert found.provenance.evaluator == "kernelbench-fast" and "seccomp" in found.provenance.sandbox
    one = found.speedup
    assert one is not None and found.reference_ms is not None and found.candidate_ms is not None
    assert one.ratio == one.low == one.high == one.raw == pytest.approx(found.reference_ms / found.candidate_ms)
    assert (one.pairs, one.replicates, one.margin, found.timed_calls) == (5, 1, 0.0, 5)


def test_full_mode_times_fifty_calls():
    judge = KernelBenchJudge("cpu", EvaluatorConfig(rule="kernelbench-full"))
    try:
        found = judge.evaluate_now(TASK, _candidate())
    finally:
        judge.close_now()
    assert found.provenance.evaluator == "kernelbench-full"
    assert found.timed_calls == 50 and found.speedup is not None and found.speedup.pairs == 50


def test_an_error_within_the_published_tolerance_passes_here_and_not_by_the_judge(
    published: KernelBenchJudge, judge: Judge
):
    close = _candidate("self.b(torch.tanh(self.a(x))) + 8e-5")
    assert published.evaluate_now(TASK, close).status is Status.CORRECT
    assert judge.evaluate_now(TASK, close).status is Status.WRONG_OUTPUT
    assert published.evaluate_now(TASK, _candidate("self.b(torch.tanh(self.a(x))) + 1e-2")).status is (
        Status.WRONG_OUTPUT
    )


def test_weights_come_from_the_seed_so_that_the_order_of_the_layers_counts(published: KernelBenchJudge, judge: Judge):
    swapped = _candidate(layers="        self.b = nn.Linear(64, 64)\n        self.a = nn.Linear(64, 64)\n")
    assert published.evaluate_now(TASK, swapped).status is Status.WRONG_OUTPUT
    assert judge.evaluate_now(TASK, swapped).status is Status.CORRECT


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("self.missing(x)", Status.RUNTIME_ERROR),
        ("self.b(torch.tanh(self.a(x)))[:1]", Status.WRONG_OUTPUT),
        ("self.b(torch.tanh(self.a(x))) * float('nan')", Status.WRONG_OUTPUT),
        ("exit(0)", Status.RUNTIME_ERROR),
    ],
)
def test_failures_have_the_same_statuses_as_by_the_judge(published: KernelBenchJudge, value: str, status: Status):
    found = published.evaluate_now(TASK, _candidate(value))
    assert found.status is status and found.speedup is None
    assert found.provenance.evaluator == "kernelbench-fast"


def test_the_judges_own_rule_is_refused():
    with pytest.raises(UsageError, match="kernelbench-fast or kernelbench-full"):
        KernelBenchJudge("cpu", EvaluatorConfig())


@pytest.mark.parametrize(
    ("dtype", "error", "passes"),
    [(torch.float32, 1.5e-4, True), (torch.float32, 2.5e-4, False), (torch.float16, 1.5e-2, True)],
)
def test_the_tolerance_is_absolute_plus_relative(dtype, error, passes):
    expected = torch.ones(4, dtype=dtype)  # allowed: 2e-4, and 2e-2 for float16
    assert (published_mismatch([expected + error], [expected]) is None) is passes


def test_nan_never_equals_nan():
    nan = torch.tensor([float("nan")])
    assert published_mismatch([nan], [nan]) is not None
