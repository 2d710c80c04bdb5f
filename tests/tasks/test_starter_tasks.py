import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest
import torch

import assay.tasks.starter_suite as starter_suite
from assay.core.errors import UsageError
from assay.tasks.constants import constants, input_elements
from assay.tasks.contract import check_contract
from assay.tasks.starter_suite import FOLDER, solutions, starter_facts, starter_tasks

TASKS = {task.id: task for task in starter_tasks()}
TORCH_WINS = [i for i in TASKS if starter_facts(i).headroom and starter_facts(i).needs == "torch"]
CPP_WINS = [i for i in TASKS if starter_facts(i).needs == "cpp"]
each_task = pytest.mark.parametrize("task_id", list(TASKS))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _namespace(source: str) -> dict:
    namespace: dict = {"__name__": "task_under_test"}
    exec(compile(source, "task", "exec"), namespace)
    return namespace


@functools.cache
def _trial(task_id: str, seed: int):
    """(model, inputs, output) of the reference; the model always has the weights of seed 0."""
    namespace = _namespace(TASKS[task_id].source)
    torch.manual_seed(0)
    model = namespace["Model"](*namespace["get_init_inputs"]())
    torch.manual_seed(seed)
    inputs = namespace["get_inputs"]()
    with torch.no_grad():
        return model, inputs, model(*inputs)


def _answer(task_id: str, source: str, seed: int = 1) -> torch.Tensor:
    """The output of a candidate that has the weights of the reference."""
    reference, inputs, _ = _trial(task_id, seed)
    candidate = _namespace(source)["ModelNew"](*_namespace(TASKS[task_id].source)["get_init_inputs"]())
    candidate.load_state_dict(reference.state_dict())
    with torch.no_grad():
        return candidate(*inputs)


def _difference(answer: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest difference over the root mean square of the expected output; infinite for another shape."""
    if answer.shape != expected.shape:
        return float("inf")
    scale = expected.double().pow(2).mean().sqrt()
    return ((answer.double() - expected.double()).abs().max() / scale).item()


def test_the_suite_has_the_promised_mix():
    facts = [starter_facts(task_id) for task_id in TASKS]
    assert len(TASKS) >= 30
    assert sum(not fact.headroom for fact in facts) >= 5
    assert sum(fact.needs == "cpp" for fact in facts) >= 6
    assert {form for task_id in TASKS for form in solutions(task_id).fast_on_gpu} == {"torch", "triton", "cuda"}


def test_files_and_sidecar_name_the_same_tasks():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(TASKS)
    assert sorted(path.name for path in (FOLDER / "solutions").iterdir()) == sorted(TASKS)
    sidecar = tomllib.loads((FOLDER / "suite.toml").read_text(encoding="utf-8"))
    assert [task.id for task in starter_tasks()] == list(sidecar)


@pytest.mark.parametrize("task_id", CPP_WINS)
def test_a_gpu_is_never_given_a_program_for_the_cpu(task_id):
    known = solutions(task_id)
    assert known.fast is not None and known.fast not in known.fast_on_gpu.values()
    for form, source in known.fast_on_gpu.items():
        marks = {"triton": "@triton.jit", "cuda": "cuda_sources="}
        assert form != "torch" and marks[form] in source


def test_an_unknown_id_is_a_usage_error():
    with pytest.raises(UsageError, match="no_such_task"):
        solutions("no_such_task")


@each_task
def test_a_task_follows_the_contract_and_its_solutions_never_hold_the_reference(task_id):
    check_contract(TASKS[task_id].source, task_id)
    known = solutions(task_id)
    assert len(known.wrong) == 2
    assert (known.fast is not None) == bool(known.fast_on_gpu) == starter_facts(task_id).headroom
    for source in (known.fast, *known.fast_on_gpu.values(), *known.wrong):
        if source is not None:
            classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
            assert classes == ["ModelNew"]
            assert not re.search(r"\bModel\b", source)


@each_task
def test_gpu_sizes_are_larger_and_nothing_else_changes(task_id):
    gpu = {task.id: task for task in starter_tasks("gpu")}[task_id]
    assert gpu.key == f"starter/{task_id}@gpu"
    sizes = {c.name: c.value for c in constants(TASKS[task_id].source)}
    gpu_sizes = {c.name: c.value for c in constants(gpu.source)}
    assert gpu_sizes == sizes | starter_facts(task_id).gpu
    assert (input_elements(gpu.source) or 0) > 8 * (input_elements(TASKS[task_id].source) or 0)


@each_task
def test_inputs_take_at_most_16_mb_and_have_both_signs(task_id):
    _, inputs, _ = _trial(task_id, 1)
    assert sum(tensor.numel() * tensor.element_size() for tensor in inputs) <= 16 * 2**20
    for tensor in inputs:
        if tensor.is_floating_point():
            assert tensor.min() < 0 < tensor.max()


@each_task
def test_the_same_seed_gives_the_same_output(task_id):
    _trial.cache_clear()
    first = _trial(task_id, 1)[2]
    _trial.cache_clear()
    assert torch.equal(first, _trial(task_id, 1)[2])


@each_task
def test_null_answers_differ_from_the_expected_output(task_id):
    _, inputs, expected = _trial(task_id, 1)
    nulls = {
        "zeros": torch.zeros_like(expected),
        "constant": torch.full_like(expected, expected.double().mean().item()),
        "the previous trial's output": _trial(task_id, 2)[2],
    }
    nulls |= {f"input {n}": tensor for n, tensor in enumerate(inputs)}
    if expected.ndim == 0:
        del nulls["constant"]  # the mean of one number is that number
    for name, answer in nulls.items():
        assert _difference(answer, expected) > 0.05, name


@pytest.mark.parametrize("task_id", TORCH_WINS)
def test_the_fast_solution_computes_what_the_reference_computes(task_id):
    source = solutions(task_id).fast
    assert source is not None
    for seed in (1, 2):
        torch.testing.assert_close(_answer(task_id, source, seed), _trial(task_id, seed)[2], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("task_id", CPP_WINS)
def test_the_compiled_solution_computes_what_the_reference_computes(task_id, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    source = solutions(task_id).fast
    assert source is not None
    torch.testing.assert_close(_answer(task_id, source), _trial(task_id, 1)[2], rtol=1e-4, atol=1e-4)


@each_task
@pytest.mark.parametrize("number", [0, 1])
def test_a_wrong_solution_differs_by_far_more_than_rounding(task_id, number):
    answer = _answer(task_id, solutions(task_id).wrong[number])
    assert _difference(answer, _trial(task_id, 1)[2]) > 0.02


def test_the_sidecar_lies_inside_the_package():
    package = Path(starter_suite.__file__).parent
    assert FOLDER.is_relative_to(package)
    assert (FOLDER / "suite.toml").is_file()
