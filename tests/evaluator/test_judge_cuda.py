"""The judge on a real GPU: every form of candidate, large tensors, work on other streams, poisoned contexts."""

from collections.abc import Iterator

import pytest
import torch

from assay.core.records import Candidate, Evaluation, Status, Task, Verdict
from assay.evaluator.judge import Judge

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(300)]

HEAD = "import torch\nimport torch.nn as nn\n"
ROW_SCALE = f"""{HEAD}
ROWS = 4096
COLUMNS = 8192


class Model(nn.Module):
    def forward(self, x, w):
        return torch.diag(w) @ x


def get_inputs():
    return [torch.randn(ROWS, COLUMNS), torch.randn(ROWS)]


def get_init_inputs():
    return []
"""
TASK = Task(suite="gpu", id="row_scale", name="row_scale", source=ROW_SCALE)
BROADCAST = f"{HEAD}\nclass ModelNew(nn.Module):\n    def forward(self, x, w):\n        return w[:, None] * x\n"
CUDA = f'''{HEAD}
from torch.utils.cpp_extension import load_inline

CODE = """
#include <torch/extension.h>
__global__ void scale(const float* x, const float* w, float* y, long rows, long columns) {{
  long row = blockIdx.x;
  for (long i = threadIdx.x; i < columns; i += blockDim.x) y[row * columns + i] = w[row] * x[row * columns + i];
}}
torch::Tensor run(torch::Tensor x, torch::Tensor w) {{
  auto y = torch::empty_like(x);
  scale<<<x.size(0), 256>>>(x.data_ptr<float>(), w.data_ptr<float>(), y.data_ptr<float>(), x.size(0), x.size(1));
  return y;
}}
"""
extension = load_inline(
    name="row_scale",
    cpp_sources="torch::Tensor run(torch::Tensor x, torch::Tensor w);",
    cuda_sources=CODE,
    functions=["run"],
)


class ModelNew(nn.Module):
    def forward(self, x, w):
        return extension.run(x, w)
'''
TRITON = f"""{HEAD}
import triton
import triton.language as tl


@triton.jit
def scale(x, w, y, columns, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    factor = tl.load(w + row)
    for start in range(0, columns, BLOCK):
        at = start + tl.arange(0, BLOCK)
        tl.store(y + row * columns + at, factor * tl.load(x + row * columns + at, mask=at < columns), mask=at < columns)


class ModelNew(nn.Module):
    def forward(self, x, w):
        y = torch.empty_like(x)
        scale[(x.shape[0],)](x, w, y, x.shape[1], BLOCK=1024)
        return y
"""


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge("cuda")
    yield judge
    judge.close_now()


def evaluate(judge: Judge, source: str, task: Task = TASK, class_name: str = "ModelNew") -> Evaluation:
    found = judge.evaluate_now(task, Candidate(source=source), class_name)
    print(task.id, found.status, found.verdict, found.flags, found.error[-1500:], found.speedup, found.provenance)
    return found


@pytest.mark.parametrize("source", [BROADCAST, CUDA, TRITON], ids=["torch", "cuda", "triton"])
def test_a_faster_program_in_every_form_is_verified(judge: Judge, source: str):
    found = evaluate(judge, source)
    assert (found.status, found.verdict) == (Status.CORRECT, Verdict.FASTER)
    assert {"seccomp", "lockdown"} <= set(found.provenance.sandbox)


def test_a_second_evaluation_compiles_nothing(judge: Judge):
    evaluate(judge, CUDA)
    assert evaluate(judge, CUDA).provenance.facts["stage_s"]["build"] < 1.0


def test_an_identical_program_is_not_faster(judge: Judge):
    found = evaluate(judge, ROW_SCALE, class_name="Model")
    assert found.status is Status.CORRECT
    assert found.verdict in (Verdict.SAME, Verdict.UNDECIDED)


def test_inputs_and_outputs_of_several_gigabytes_fit(judge: Judge):
    source = ROW_SCALE.replace("torch.diag(w) @ x", "x * w[:, None]").replace("8192", "393216")
    found = evaluate(judge, source, TASK.model_copy(update={"id": "large", "source": source}), "Model")
    assert found.status is Status.CORRECT


def test_work_left_on_another_stream_is_counted_or_caught(judge: Judge):
    source = f"""{HEAD}
class ModelNew(nn.Module):
    def forward(self, x, w):
        y = torch.empty_like(x)
        if not hasattr(self, "side"):
            self.side = torch.cuda.Stream()
        self.side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.side):
            torch.mul(torch.diag(w) @ x, 1.0, out=y)
        return y
"""
    assert evaluate(judge, source).verdict is not Verdict.FASTER


def test_a_poisoned_context_costs_one_candidate(judge: Judge):
    poison = BROADCAST.replace(
        "return w", "torch.zeros(4, device=x.device)[torch.tensor([99], device=x.device)]; return w"
    )
    assert evaluate(judge, poison).status is Status.RUNTIME_ERROR
    assert evaluate(judge, BROADCAST).status is Status.CORRECT
    assert torch.ones(2, device="cuda").sum().item() == 2


def test_reduced_precision_inside_is_wrong(judge: Judge):
    source = f"""{HEAD}
SIDE = 2048


class Model(nn.Module):
    def forward(self, a, b):
        return a @ b


def get_inputs():
    return [torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)]


def get_init_inputs():
    return []
"""
    task = Task(suite="gpu", id="matmul", name="matmul", source=source)
    switch = "torch.backends.cuda.matmul.allow_tf32 = True\n"
    cheat = f"{HEAD}{switch}\nclass ModelNew(nn.Module):\n    def forward(self, a, b):\n        return a @ b\n"
    assert evaluate(judge, cheat, task).status is Status.WRONG_OUTPUT
