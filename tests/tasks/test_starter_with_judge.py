"""The starter suite before the real judge: known fast programs are verified, wrong ones and copies never are."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.core.records import Candidate, Evaluation, Status, Verdict
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.runs.build import reference_copy
from assay.tasks.starter_suite import solutions, starter_facts, starter_tasks

TASKS = {task.id: task for task in starter_tasks()}
SAMPLED = (  # gains that no noise of a shared machine hides, of six kinds
    "matrix_chain_vector",
    "batched_dot_loop",
    "column_max_loop",
    "row_variance_loop",
    "gather_rows_loop",
    "gram_matrix_loop",
)
MOST_TRIES = 3  # on a machine that is busy, a small gain may stay undecided


def _cases(task_ids: list[str]) -> list:
    """All but a sample take minutes in sum, and some compile."""
    slow = (pytest.mark.slow, pytest.mark.timeout(600))
    return [pytest.param(task_id, marks=() if task_id in SAMPLED else slow) for task_id in task_ids]


@contextlib.contextmanager
def _fresh_judge(cache: Path, calibration_replicates: int) -> Iterator[Judge]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSAY_CACHE", str(cache))
        judge = Judge("cpu", EvaluatorConfig(calibration_replicates=calibration_replicates))
        yield judge
        judge.close_now()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with _fresh_judge(tmp_path_factory.mktemp("cache"), 4) as judge:
        yield judge


def _judged(judge: Judge, task_id: str, source: str) -> Evaluation:
    return judge.evaluate_now(TASKS[task_id], Candidate(source=source))


@pytest.mark.parametrize("task_id", _cases([one for one in TASKS if starter_facts(one).headroom]))
def test_the_known_fast_program_is_verified_as_faster(judge: Judge, task_id: str, tmp_path: Path):
    source = solutions(task_id).fast
    assert source is not None
    found = [_judged(judge, task_id, source)]
    for number in range(1, MOST_TRIES):
        if (
            found[-1].verdict is Verdict.UNDECIDED
        ):  # the noise that was learnt from a busy moment is kept: learn it anew
            with _fresh_judge(tmp_path / str(number), 8) as another:
                found.append(_judged(another, task_id, source))
    assert found[-1].verdict is Verdict.FASTER, found


@pytest.mark.parametrize("task_id", _cases(list(TASKS)))
def test_the_known_wrong_programs_are_told_from_the_reference(judge: Judge, task_id: str):
    for source in solutions(task_id).wrong:
        assert _judged(judge, task_id, source).status is Status.WRONG_OUTPUT


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("task_id", [one for one in TASKS if not starter_facts(one).headroom])
def test_a_copy_of_a_reference_without_headroom_is_never_faster(judge: Judge, task_id: str):
    found = _judged(judge, task_id, reference_copy(TASKS[task_id]).source)
    assert found.status is Status.CORRECT and found.verdict is not Verdict.FASTER
