"""The transfer table on shares worked out by hand."""

import importlib
from pathlib import Path

import pytest

from assay.report.transfer import transfer_table

ROOT = Path(__file__).parents[1]
FAST, SAME, WRONG = "ratio=1.5", "ratio=1.0", "status=wrong_output"


@pytest.fixture
def store_run(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("stored_runs").store_run


def test_shares_tests_and_words_are_of_the_tasks_that_were_not_learned_from(store_run, tmp_path):
    base = store_run(tmp_path / "base", {"1": [[FAST, SAME]], "2": [[WRONG, WRONG]], "3": [[FAST, FAST]]})
    adapted = store_run(tmp_path / "adapted", {"1": [[WRONG, SAME]], "2": [[FAST, WRONG]], "3": [[FAST, WRONG]]})
    table = transfer_table(Path("run"), 2, base, adapted, {"fake/3"})
    assert [(line.task, line.is_trained_on) for line in table.lines] == [
        ("fake/1", False),
        ("fake/2", False),
        ("fake/3", True),
    ]
    assert (table.lines[0].base.fast_1_verified, table.lines[0].adapted.fast_1_verified) == (0.5, 0.0)
    assert (table.lines[0].base.correct, table.lines[0].adapted.correct) == (1.0, 0.5)
    assert table.compared == ("fake/1", "fake/2")
    verified = table.tests["fast_1_verified"]
    assert (verified.base, verified.adapted) == (0.25, 0.25)
    assert (verified.by_share.wins, verified.by_share.losses, verified.by_share.p_value) == (1, 1, 1.0)
    assert (verified.by_success.only_a, verified.by_success.only_b) == (1, 1)
    assert verified.adjusted_p == 1.0
    assert "On 2 tasks that step 2 of run has not learned from" in table.in_words and "fake/3" in table.in_words


def test_six_tasks_that_all_lose_are_a_difference_after_holm_or_not_as_the_words_say(store_run, tmp_path):
    tasks = [str(n) for n in range(7)]
    base = store_run(tmp_path / "base", {task: [[FAST]] for task in tasks})
    adapted = store_run(tmp_path / "adapted", {task: [[WRONG]] for task in tasks})
    table = transfer_table(Path("run"), 1, base, adapted, set())
    # Seven losses: p = 2 / 2^7 each, times 3 by Holm for the first of three equal ones.
    assert table.tests["correct"].by_share.p_value == pytest.approx(2 / 2**7)
    assert table.tests["correct"].adjusted_p == pytest.approx(6 / 2**7)
    assert "in favour of the unadapted one over the adapted model" in table.in_words


def test_tasks_that_were_all_learned_from_show_no_transfer(store_run, tmp_path):
    base, adapted = (store_run(tmp_path / name, {"1": [[FAST]]}) for name in ("base", "adapted"))
    table = transfer_table(Path("run"), 1, base, adapted, {"fake/1"})
    assert "no transfer" in table.in_words and table.compared == ("fake/1",)


def test_a_task_without_samples_on_one_side_is_left_out_and_named(store_run, tmp_path):
    base = store_run(tmp_path / "base", {"1": [[FAST]], "2": [[FAST]]})
    adapted = store_run(tmp_path / "adapted", {"1": [[FAST]]})
    table = transfer_table(Path("run"), 1, base, adapted, set())
    assert table.missing == ("fake/2",) and len(table.lines) == 1
