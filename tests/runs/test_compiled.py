import math

import pytest

from assay.core.records import Speedup, Task
from assay.runs.compiled import Compiled, measure_compiled, over_compiled

WINNER = Speedup(ratio=3.0, low=2.0, high=4.0, margin=0.01, pairs=20, replicates=2, raw=3.0)
BROKEN = (
    "import torch\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        raise ValueError('no\\nway')\n"
)
MAKERS = "def get_inputs():\n    return [torch.ones(2)]\ndef get_init_inputs():\n    return []\n"


def test_a_program_is_placed_over_compiling_by_the_far_ends_of_both_intervals():
    compiled = Compiled(ratio=1.5, low=1.2, high=2.0, processes=4)
    over = over_compiled(WINNER, compiled)
    assert over is not None
    assert (over.ratio, over.low, over.high) == pytest.approx((2.0, 1.0, 4 / 1.2))


@pytest.mark.parametrize(
    "compiled",
    [
        Compiled(ratio=None, low=None, high=None, processes=0, problem="no compiler"),
        Compiled(ratio=1.5, low=None, high=None, processes=1),
    ],
)
def test_without_an_interval_nothing_is_said_over_compiling(compiled):
    assert over_compiled(WINNER, compiled) is None


def test_what_compiling_meets_is_a_problem_and_no_failure():
    task = Task(suite="files", id="x", name="x", source=BROKEN + MAKERS)
    found = measure_compiled(task, "cpu", processes=2)
    assert found.ratio is None and "ValueError: no" in found.problem and "\n" not in found.problem


def test_a_compiler_without_end_is_ended():
    task = Task(suite="files", id="x", name="x", source="import time\ntime.sleep(600)\n")
    found = measure_compiled(task, "cpu", processes=1, timeout_s=0.5)
    assert found.ratio is None and "longer than" in found.problem


@pytest.mark.slow
def test_compiling_is_measured_in_fresh_processes_with_an_interval():
    source = BROKEN.replace("raise ValueError('no\\nway')", "print('noise')\n        return x.sin() + x.cos()") + MAKERS
    found = measure_compiled(Task(suite="files", id="x", name="x", source=source), "cpu", processes=2)
    assert not found.problem and found.processes == 2
    assert found.ratio and found.low and found.high and found.low < found.ratio < found.high
    assert math.isfinite(found.high)
