"""The judge against the red-team suite: no cheat gets what it is after, and every honest twin is correct."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from assay.core.records import Evaluation, Status
from assay.evaluator.redteam.suite import RedTeamCase, load_redteam

judge_module = pytest.importorskip("assay.evaluator.judge")


def _cheats(device: str, needs: str) -> list[Any]:
    cases = [case for case in load_redteam(device) if case.needs == needs]
    return [pytest.param(case, id=case.name, marks=() if case.is_quick else pytest.mark.slow) for case in cases]


def _twins(device: str, needs: str) -> list[Any]:
    """One parameter a twin: quick if a quick cheat names it."""
    quick = {case.twin_name for case in load_redteam(device) if case.is_quick and case.needs == needs}
    first = {case.twin_name: case for case in reversed(load_redteam(device)) if case.needs == needs}
    return [
        pytest.param(case, id=name, marks=() if name in quick else pytest.mark.slow)
        for name, case in sorted(first.items())
    ]


@pytest.fixture(scope="module")
def cpu_judge() -> Iterator[Any]:
    judge = judge_module.Judge("cpu")
    yield judge
    asyncio.run(judge.close())


@pytest.fixture(scope="module")
def cuda_judge() -> Iterator[Any]:
    judge = judge_module.Judge("cuda:0")
    yield judge
    asyncio.run(judge.close())


def _assert_caught(judge: Any, case: RedTeamCase) -> None:
    evaluation: Evaluation = asyncio.run(judge.evaluate(case.reference, case.cheat))
    what = f"{case.about}\n{evaluation.model_dump_json(indent=1)}"
    assert case.escape(evaluation) is None, what
    assert case.is_caught(evaluation), what


def _assert_accepted(judge: Any, case: RedTeamCase) -> None:
    evaluation: Evaluation = asyncio.run(judge.evaluate(case.reference, case.twin))
    assert evaluation.status is Status.CORRECT, f"{case.twin_name}\n{evaluation.model_dump_json(indent=1)}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", _cheats("cpu", "cpu"))
def test_cheat_is_caught(cpu_judge: Any, case: RedTeamCase):
    _assert_caught(cpu_judge, case)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", _twins("cpu", "cpu"))
def test_twin_is_correct_after_the_cheats(cpu_judge: Any, case: RedTeamCase):
    _assert_accepted(cpu_judge, case)


@pytest.mark.gpu
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", _cheats("cuda", "cuda") + _cheats("cuda", "cpu"))
def test_cheat_is_caught_on_a_gpu(cuda_judge: Any, case: RedTeamCase):
    _assert_caught(cuda_judge, case)


@pytest.mark.gpu
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", _twins("cuda", "cuda") + _twins("cuda", "cpu"))
def test_twin_is_correct_on_a_gpu_after_the_cheats(cuda_judge: Any, case: RedTeamCase):
    _assert_accepted(cuda_judge, case)
