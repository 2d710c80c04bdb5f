"""When the A/A noise of a task is measured, and when what is known of it stands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.core.records import Candidate, Task
from assay.evaluator import calibration
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.session import Session

SOURCE = """import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return x + 1


def get_inputs():
    return [torch.randn(64)]


def get_init_inputs():
    return []
"""
TASKS = [Task(suite="tests", id=name, name=name, source=f"{SOURCE}\n# {name}\n") for name in ("first", "second")]
FAILING = Candidate(source="class ModelNew:\n    pass\n")
QUIET, NOISY = [0.0001, -0.0001], [0.2, -0.3]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """How many replicates each calibration made; all of them find a noisy machine."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    made: list[int] = []

    def medians(_session: Session, replicates: int) -> list[float]:
        made.append(replicates)
        return [*NOISY, *NOISY][:replicates]

    monkeypatch.setattr(Session, "_aa_medians", medians)
    return made


@pytest.fixture
def own_judge(measured: list[int]) -> Iterator[Judge]:
    judge = Judge("cpu", EvaluatorConfig(calibration_replicates=4))
    yield judge
    judge.close_now()


def test_a_noisy_task_is_not_calibrated_each_time_that_a_run_comes_back_to_it(own_judge: Judge, measured: list[int]):
    for task in (*TASKS, *TASKS):
        own_judge.evaluate_now(task, FAILING)
    assert measured == [4, 4]


def test_noise_of_long_ago_is_measured_again(own_judge: Judge, measured: list[int], monkeypatch: pytest.MonkeyPatch):
    own_judge.evaluate_now(TASKS[0], FAILING)
    monkeypatch.setattr(calibration, "_MOMENT_S", 0.0)
    own_judge.evaluate_now(TASKS[1], FAILING)
    own_judge.evaluate_now(TASKS[0], FAILING)
    assert measured == [4, 4, 4]


def test_a_kept_calibration_is_recent_in_the_next_process_and_one_without_a_date_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))

    def opened() -> calibration.Calibration:
        return calibration.Calibration("cpu", "task", threads=1, pairs=10)

    assert not opened().is_recent
    opened().add(QUIET)
    assert (opened().is_recent, opened().medians) == (True, QUIET)
    (kept,) = (tmp_path / "calibration").glob("*.json")
    kept.write_text('{"medians": [0.1, 0.2]}')
    assert (opened().is_recent, opened().medians) == (False, [0.1, 0.2])
    kept.write_text("[1]")
    assert opened().medians == []
