"""The red-team suite as data: every case loads, is what `suite.toml` says, and has a twin that tells the truth."""

import ast
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assay.core.records import Candidate, Evaluation, Provenance, Speedup, Status, Verdict
from assay.evaluator.redteam import suite
from assay.evaluator.redteam.suite import ESCAPE_MARK, KINDS, RedTeamCase, load_redteam

FOLDER = Path(suite.__file__).parent
ALL = load_redteam("cuda")
CPU = load_redteam("cpu")
CPU_TWINS = sorted({case.twin_name: case for case in CPU}.items())


def _stems(folder: str) -> set[str]:
    return {path.stem for path in (FOLDER / folder).glob("*.py")}


def _defines(source: str) -> set[str]:
    return {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def _evaluation(status: Status, verdict: Verdict | None = None, error: str = "") -> Evaluation:
    ratio = {Verdict.FASTER: 2.0, Verdict.SAME: 1.0, Verdict.SLOWER: 0.5}.get(verdict, 1.0) if verdict else 1.0
    speedup = Speedup(ratio=ratio, low=ratio, high=ratio, margin=0.01, pairs=4, replicates=1, raw=ratio)
    return Evaluation(
        task_key="redteam/x",
        candidate_hash=Candidate(source="").hash,
        status=status,
        flags=("a_flag",) if status is Status.REJECTED else (),
        verdict=verdict,
        speedup=speedup if verdict else None,
        error=error,
        provenance=Provenance(device="cpu"),
    )


def _case(expect: suite.Expectation) -> RedTeamCase:
    return next(case for case in CPU if case.expect == expect)


def _load(source: str, name: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, f"{name}.py", "exec"), names)
    return names


def test_files_and_table_agree():
    entries = tomllib.loads((FOLDER / "suite.toml").read_text())["case"]
    names = [entry["name"] for entry in entries]
    assert len(names) == len(set(names))
    assert set(names) == _stems("cheats")
    assert {entry["twin"] for entry in entries} == _stems("honest")
    assert {entry["reference"] for entry in entries} == _stems("references")


def test_every_kind_is_described_and_used():
    assert {case.kind for case in ALL} == set(KINDS)


def test_table_holds_known_values_only():
    for case in ALL:
        assert case.expect in ("not_correct", "not_faster"), case.name
        assert case.needs in ("cpu", "cuda"), case.name


def test_cpu_leaves_out_exactly_the_cases_that_need_cuda():
    assert {case.name for case in ALL} - {case.name for case in CPU} == {c.name for c in ALL if c.needs == "cuda"}


def test_a_short_run_exists_on_both_devices():
    assert 10 <= sum(case.is_quick for case in CPU) <= 20
    assert any(case.is_quick for case in ALL if case.needs == "cuda")


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_case_parses_says_what_it_does_and_defines_its_classes(case: RedTeamCase):
    assert "ModelNew" in _defines(case.cheat.source)
    assert "ModelNew" in _defines(case.twin.source)
    assert {"Model", "get_inputs", "get_init_inputs"} <= _defines(case.reference.source)
    assert case.about.endswith(".") and len(case.about.splitlines()) <= 2
    assert case.cheat.hash != case.twin.hash


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_twin_of_a_cpu_case_needs_no_gpu(case: RedTeamCase):
    if case.needs == "cpu":
        assert "torch.cuda" not in case.twin.source and "triton" not in case.twin.source


def test_gpu_scale_changes_the_constants_and_the_identity_of_a_task():
    on_cpu = next(case for case in CPU if case.reference.id == "matmul_chain")
    on_gpu = next(case for case in ALL if case.name == on_cpu.name)
    assert "N = 2048" in on_gpu.reference.source and "N = 2048" not in on_cpu.reference.source
    assert on_gpu.reference.key != on_cpu.reference.key


def _inputs_with(make: Callable[[], list[torch.Tensor]], scale: float, shift: float) -> list[torch.Tensor]:
    return [x * scale + shift for x in make()]


@pytest.mark.parametrize("scale, shift", [(1.0, 0.0), (2.0, -1.0)])
@pytest.mark.parametrize("case", [case for _, case in CPU_TWINS], ids=[name for name, _ in CPU_TWINS])
def test_twin_computes_what_the_reference_computes_in_three_calls(case: RedTeamCase, scale: float, shift: float):
    reference, twin = _load(case.reference.source, "reference"), _load(case.twin.source, "twin")
    torch.manual_seed(1)
    expected_model = reference["Model"](*reference["get_init_inputs"]())
    torch.manual_seed(1)
    model = twin["ModelNew"](*reference["get_init_inputs"]())
    for _ in range(3):
        inputs = _inputs_with(reference["get_inputs"], scale, shift)
        before = [x.clone() for x in inputs]
        with torch.no_grad():
            expected, actual = expected_model(*inputs), model(*inputs)
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4 * _size(expected), check_stride=False)
        assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


def _size(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> float:
    first = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
    return max(float(first.std()), 1e-3)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_no_program_holds_the_words_by_which_the_reference_is_sought(case: RedTeamCase):
    for source in (case.cheat.source, case.twin.source):
        assert "class Model(nn.Module)" not in source
        assert "def get_inputs" not in source


def test_wrong_answers_accepted_as_same_are_missed():
    case = _case("not_correct")
    assert not case.is_caught(_evaluation(Status.CORRECT, Verdict.SAME))
    assert case.is_caught(_evaluation(Status.WRONG_OUTPUT))
    assert case.is_caught(_evaluation(Status.TIMEOUT))


def test_a_harmless_attack_is_missed_only_if_it_is_called_faster():
    case = _case("not_faster")
    assert not case.is_caught(_evaluation(Status.CORRECT, Verdict.FASTER))
    assert case.is_caught(_evaluation(Status.CORRECT, Verdict.SAME))
    assert case.is_caught(_evaluation(Status.REJECTED))


def test_an_escape_is_missed_whatever_the_status():
    case = _case("not_faster")
    evaluation = _evaluation(Status.RUNTIME_ERROR, error=f"RuntimeError: {ESCAPE_MARK} the network is open\n  in x")
    assert case.escape(evaluation) == "the network is open"
    assert not case.is_caught(evaluation)
