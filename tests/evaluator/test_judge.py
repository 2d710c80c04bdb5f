"""The judge on a CPU: what becomes of candidates of every kind."""

import os
import threading
import time
from pathlib import Path

import pytest
import torch

from assay.core.errors import EvaluatorError, UsageError
from assay.core.records import Candidate, Evaluation, Status, Task, Verdict
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.processes import descendants

HEAD = "import torch\nimport torch.nn as nn\n\nSIDE = 160\n\n"
SOURCE = f"""{HEAD}
class Model(nn.Module):
    def __init__(self, side):
        super().__init__()
        self.linear = nn.Linear(side, side)

    def forward(self, weights, x):
        for _ in range(20):
            y = torch.diag(weights) @ self.linear(x)
        return y


def get_inputs():
    return [torch.randn(SIDE), torch.randn(SIDE, SIDE)]


def get_init_inputs():
    return [SIDE]
"""
TASK = Task(suite="tests", id="scaled_linear", name="scaled_linear", source=SOURCE)


def with_body(body: str, head: str = HEAD) -> Candidate:
    lines = "\n".join("        " + line for line in body.splitlines())
    return Candidate(
        source=f"""{head}
class ModelNew(nn.Module):
    def __init__(self, side):
        super().__init__()
        self.linear = nn.Linear(side, side)

    def forward(self, weights, x):
{lines}
"""
    )


FAST = with_body("return weights[:, None] * self.linear(x)")


def evaluate(judge: Judge, candidate: Candidate, task: Task = TASK) -> Evaluation:
    return judge.evaluate_now(task, candidate)


def test_a_much_faster_program_is_verified(judge: Judge):
    found = evaluate(judge, FAST)
    assert (found.status, found.verdict) == (Status.CORRECT, Verdict.FASTER), found
    assert found.speedup is not None and found.speedup.low > 1 + found.speedup.margin
    assert found.speedup.replicates >= 2
    assert found.timed_calls >= 20
    assert found.provenance.sandbox


def test_the_reference_itself_is_not_faster(judge: Judge):
    found = judge.evaluate_now(TASK, Candidate(source=SOURCE), class_name="Model")
    assert found.status is Status.CORRECT
    assert found.verdict is not Verdict.FASTER


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("return weights * self.linear(x)", Status.WRONG_OUTPUT, "relative error"),
        ("return (weights[:, None] * self.linear(x))[:1]", Status.WRONG_OUTPUT, "outputs"),
        ("return (weights[:, None] * self.linear(x)).double()", Status.WRONG_OUTPUT, "float64"),
        ("return [weights[:, None] * self.linear(x)]", Status.WRONG_OUTPUT, "nested"),
        ("return 'done'", Status.WRONG_OUTPUT, "outputs"),
        ("return object()", Status.WRONG_OUTPUT, "a object"),
        ("raise KeyError('missing')", Status.RUNTIME_ERROR, "KeyError"),
        ("raise SystemExit(0)", Status.RUNTIME_ERROR, "SystemExit"),
        ("import os; os._exit(0)", Status.RUNTIME_ERROR, "code 0"),
        ("import ctypes; ctypes.string_at(0)", Status.RUNTIME_ERROR, "SIGSEGV"),
        ("x.zero_(); return weights[:, None] * self.linear(x)", Status.WRONG_OUTPUT, "relative error"),
        ("y = weights[:, None] * self.linear(x); x.zero_(); return y", Status.REJECTED, "input 1"),
    ],
)
def test_failures_become_statuses(judge: Judge, body: str, status: Status, text: str):
    found = evaluate(judge, with_body(body))
    assert found.status is status, found
    assert text in found.error
    assert found.speedup is None


def test_a_hanging_program_times_out_and_costs_nobody_else(judge: Judge):
    assert evaluate(judge, with_body("while True: pass")).status is Status.TIMEOUT
    assert evaluate(judge, FAST).status is Status.CORRECT


def test_a_module_that_does_not_compile_is_a_build_error(judge: Judge):
    assert evaluate(judge, Candidate(source="class ModelNew(:\n")).status is Status.BUILD_ERROR


def test_a_module_without_the_class_is_a_runtime_error(judge: Judge):
    found = evaluate(judge, Candidate(source="x = 1\n"))
    assert found.status is Status.RUNTIME_ERROR and "ModelNew" in found.error


def test_a_process_left_behind_is_a_rejection(judge: Judge):
    left = FAST.source + "\nimport subprocess\nsubprocess.Popen(['sleep', '60'])\n"
    found = evaluate(judge, Candidate(source=left))
    assert (found.status, found.flags) == (Status.REJECTED, ("background_process",))


def test_new_processes_are_refused_after_loading(judge: Judge):
    found = evaluate(
        judge,
        with_body(
            "self.calls = getattr(self, 'calls', 0) + 1\n"
            "if self.calls > 1: __import__('os').fork()\n"
            "return weights[:, None] * self.linear(x)"
        ),
    )
    assert found.status is Status.RUNTIME_ERROR and "PermissionError" in found.error


def test_plain_c_through_ctypes_works(judge: Judge):
    head = HEAD + (
        "import ctypes, subprocess, tempfile\n"
        "folder = tempfile.mkdtemp()\n"
        "open(folder + '/a.c', 'w').write('void scale(float* y, const float* w, int n) "
        "{ for (int i = 0; i < n; i++) for (int j = 0; j < n; j++) y[i * n + j] *= w[i]; }')\n"
        "subprocess.check_call(['cc', '-O2', '-shared', '-fPIC', '-o', folder + '/a.so', folder + '/a.c'])\n"
        "library = ctypes.CDLL(folder + '/a.so')\n"
    )
    body = (
        "y = self.linear(x)\n"
        "library.scale(ctypes.c_void_p(y.data_ptr()), ctypes.c_void_p(weights.data_ptr()), y.shape[0])\n"
        "return y"
    )
    found = evaluate(judge, with_body(body, head))
    assert found.status is Status.CORRECT, found


def test_the_sandbox_hides_files_and_the_network(judge: Judge, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    for attempt in (
        f"open({str(secret)!r}).read()",
        f"open({str(tmp_path / 'new')!r}, 'w')",
        "__import__('socket').create_connection(('127.0.0.1', 9))",
        f"__import__('os').kill({os.getpid()}, 9)",
    ):
        found = evaluate(judge, with_body(f"{attempt}\nreturn weights[:, None] * self.linear(x)"))
        assert found.status is Status.RUNTIME_ERROR, (attempt, found)


def test_a_thread_with_a_name_that_is_no_text_is_judged_like_any_other(judge: Judge):
    naming = 'import ctypes\nctypes.CDLL(None).prctl(15, b"\\xff) R", 0, 0, 0)'  # 15: PR_SET_NAME
    found = evaluate(judge, with_body(f"{naming}\nreturn weights[:, None] * self.linear(x)"))
    assert found.status is Status.CORRECT, found


def test_packages_are_found_where_they_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder on Python's path that is not an installation is out of sight, and hides no package of the same name."""
    for folder in ("installed", "own_code"):
        (tmp_path / folder / "assay_probe").mkdir(parents=True)
        (tmp_path / folder / "assay_probe" / "__init__.py").write_text("")
        monkeypatch.syspath_prepend(tmp_path / folder)
    (tmp_path / "installed" / "assay_probe-1.0.dist-info").mkdir()
    (tmp_path / "own_code" / "assay_private.py").write_text("")
    other = Judge("cpu")
    try:
        program = with_body("import assay_probe\nraise ValueError(assay_probe.__file__)")
        assert str(tmp_path / "installed") in evaluate(other, program).error
        assert "ModuleNotFoundError" in evaluate(other, with_body("import assay_private")).error
    finally:
        other.close_now()


def test_nothing_is_left_after_many_hostile_candidates(judge: Judge):
    evaluate(judge, FAST)
    before = settled()
    for body in ("import os; os._exit(1)", "import os; os.abort()", "return None", "raise BaseException", "1 / 0"):
        evaluate(judge, with_body(body))
    assert settled() == before


def settled() -> set[int]:
    """Processes below this one, once the ended ones have been reaped."""
    found = set(descendants(os.getpid()))
    for _ in range(50):
        time.sleep(0.1)
        found, last = set(descendants(os.getpid())), found
        if found == last:
            break
    return found


def test_a_broken_task_is_the_users_error(judge: Judge):
    broken = TASK.model_copy(update={"id": "broken", "source": SOURCE.replace("torch.randn(SIDE)", "undefined")})
    with pytest.raises(UsageError, match=r"tests/broken.*NameError"):
        evaluate(judge, FAST, broken)


@pytest.mark.parametrize("device", ["tpu", "cuda:x", "cpu:0"])
def test_an_unknown_device_is_the_users_error(device: str):
    with pytest.raises(UsageError, match=device):
        Judge(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_the_users_error():
    with pytest.raises(UsageError, match="--device cpu"):
        Judge("cuda")


def test_several_outputs_and_integer_inputs(judge: Judge):
    source = f"""{HEAD}
class Model(nn.Module):
    def forward(self, x, index):
        return x[index].sum(1), {{"largest": x.amax(), "count": index.numel()}}


def get_inputs():
    return [torch.randn(SIDE, SIDE), torch.randint(0, SIDE, (SIDE,))]


def get_init_inputs():
    return []
"""
    task = TASK.model_copy(update={"id": "two_outputs", "source": source})
    right = source.replace("class Model(", "class ModelNew(")
    assert evaluate(judge, Candidate(source=right), task).status is Status.CORRECT
    wrong = right.replace("index.numel()", "index.numel() + 1")
    assert evaluate(judge, Candidate(source=wrong), task).status is Status.WRONG_OUTPUT


def test_the_other_distribution_catches_a_program_that_only_fits_positive_inputs(judge: Judge):
    source = f"""{HEAD}
class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)


def get_inputs():
    return [torch.rand(SIDE, SIDE)]


def get_init_inputs():
    return []
"""
    task = TASK.model_copy(update={"id": "relu", "source": source})
    cheat = source.replace("class Model(", "class ModelNew(").replace("torch.relu(x)", "x.clone()")
    assert evaluate(judge, Candidate(source=cheat), task).status is Status.WRONG_OUTPUT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_extension_is_compiled_once(judge: Judge):
    head = HEAD + (
        "from torch.utils.cpp_extension import load_inline\n"
        "code = 'torch::Tensor scale(torch::Tensor w, torch::Tensor y) { return w.unsqueeze(1) * y; }'\n"
        "extension = load_inline(name='scale', cpp_sources=code, functions=['scale'])\n"
    )
    candidate = with_body("return extension.scale(weights, self.linear(x))", head)
    first, second = evaluate(judge, candidate), evaluate(judge, candidate)
    assert first.status is second.status is Status.CORRECT, first
    assert second.provenance.facts["stage_s"]["build"] < 0.1 * first.provenance.facts["stage_s"]["build"]


def one_input_task(name: str, forward: str, head: str = HEAD) -> Task:
    source = f"""{head}
class Model(nn.Module):
    def forward(self, x):
        {forward}


def get_inputs():
    return [torch.rand(SIDE, SIDE)]


def get_init_inputs():
    return []
"""
    return TASK.model_copy(update={"id": name, "source": source})


def copy_of(task: Task) -> Candidate:
    return Candidate(source=task.source.replace("class Model(", "class ModelNew("))


@pytest.mark.parametrize(
    "forward",
    [
        "assert x.dtype == torch.float32; return x * 2",
        "assert (x >= 0).all(); return x.sqrt()",
        "return Pair(x * 2, x + 1)",
    ],
    ids=["insists on its dtype", "insists on its domain", "named tuple"],
)
def test_references_that_insist_on_something_can_be_judged(judge: Judge, forward: str):
    head = HEAD + "from collections import namedtuple\n\nPair = namedtuple('Pair', 'a b')\n"
    task = one_input_task("insists", forward, head)
    assert evaluate(judge, copy_of(task), task).status is Status.CORRECT


@pytest.mark.parametrize(
    ("forward", "text"),
    [
        ("return torch.nn.functional.dropout(x)", "different outputs for the same inputs"),
        ("raise KeyError('gone')", "KeyError"),
        ("return {1, 2}", "a set"),
    ],
)
def test_a_reference_that_cannot_say_what_is_right_is_the_users_error(judge: Judge, forward: str, text: str):
    task = one_input_task("unfit", forward)
    with pytest.raises(UsageError, match=text):
        evaluate(judge, copy_of(task), task)


def test_inputs_of_changing_shapes_are_the_users_error(judge: Judge):
    task = one_input_task("shapes", "return x * 2")
    source = task.source.replace("torch.rand(SIDE, SIDE)", "torch.rand(int(torch.randint(2, 99, (1,))), 4)")
    task = task.model_copy(update={"source": source})
    with pytest.raises(UsageError, match="other shapes"):
        evaluate(judge, copy_of(task), task)


@pytest.mark.parametrize("started", [0, 1, 2])  # processes when it is closed: none yet, the zygote, a runner
def test_closing_does_not_wait_for_a_program_that_hangs(judge: Judge, started: int, monkeypatch: pytest.MonkeyPatch):
    evaluate(judge, FAST)  # the task is calibrated then, so that the hanging program is the first to be started
    monkeypatch.setattr("assay.evaluator.session._NOISY_BIAS", 1.0)
    closing = Judge("cpu", EvaluatorConfig(call_timeout_s=100, load_timeout_s=100, calibration_replicates=3))
    hung = with_body("import time; time.sleep(90); return x")
    ended: list[object] = []
    others = set(descendants(os.getpid()))

    def work() -> None:
        try:
            ended.append(closing.evaluate_now(TASK, hung))
        except EvaluatorError as error:
            ended.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 60
    while len(set(descendants(os.getpid())) - others) < started and time.monotonic() < deadline:
        time.sleep(0.01)
    closing.close_now()
    thread.join(30)
    assert not thread.is_alive() and ended
