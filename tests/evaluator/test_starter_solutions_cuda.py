"""The starter suite at GPU scale before the real judge: known fast programs are verified, others never."""

from collections.abc import Iterator

import pytest

from assay.core.records import Candidate, Status, Verdict
from assay.evaluator.judge import Judge
from assay.tasks.starter_suite import solutions, starter_facts, starter_tasks

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]

TASKS = {task.id: task for task in starter_tasks("gpu")}
WINS = [(task_id, form) for task_id in TASKS for form in solutions(task_id).fast_on_gpu]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    judge = Judge("cuda")
    yield judge
    judge.close_now()


@pytest.mark.parametrize(("task_id", "form"), WINS)
def test_the_known_fast_program_is_verified_as_faster(judge: Judge, task_id: str, form: str):
    source = {str(key): program for key, program in solutions(task_id).fast_on_gpu.items()}[form]
    found = judge.evaluate_now(TASKS[task_id], Candidate(source=source))
    assert found.verdict is Verdict.FASTER, found


@pytest.mark.parametrize("task_id", list(TASKS))
def test_the_known_wrong_programs_are_told_from_the_reference(judge: Judge, task_id: str):
    for source in solutions(task_id).wrong:
        found = judge.evaluate_now(TASKS[task_id], Candidate(source=source))
        assert found.status is Status.WRONG_OUTPUT, found


@pytest.mark.parametrize("task_id", [task_id for task_id in TASKS if not starter_facts(task_id).headroom])
def test_a_copy_of_a_reference_without_headroom_is_never_faster(judge: Judge, task_id: str):
    found = judge.evaluate_now(TASKS[task_id], Candidate(source=TASKS[task_id].source), "Model")
    assert found.status is Status.CORRECT and found.verdict is not Verdict.FASTER
