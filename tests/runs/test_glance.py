import os
import subprocess
import sys

import pytest
from stored_runs import BEST_OF_N, FAST, SAME, store_run

from assay.runs import database
from assay.runs.glance import glance, is_being_written, last_change, planned_samples
from assay.runs.store import RunStore

HOLDER = """
import sys
from pathlib import Path
from assay.runs import database
held = database.lock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def look(directory):
    connection = database.connect(directory, writable=False)
    try:
        return glance(directory, connection)
    finally:
        connection.close()


def test_a_glance_counts_what_the_tables_of_the_run_count(tmp_path):
    run = store_run(tmp_path / "run", {"1": [[FAST, SAME, "", FAST]], "2": [[SAME] * 4], "3": [[FAST] * 4]}, shrink=0.9)
    found = look(run)
    assert (found.tasks, found.samples, found.rounds) == (3, 12, 1)
    assert (found.faster, found.wins, found.state) == (2, 2, "finished")
    with RunStore.open(run) as store:
        spent = store.ledger.total
    assert found.rollouts == spent.rollouts and found.evaluations == spent.evaluations
    assert found.seconds == spent.sampling_s + spent.evaluation_s + spent.training_s


def test_a_pick_that_does_not_hold_up_is_no_win(tmp_path):
    found = look(store_run(tmp_path / "run", {"1": [[FAST]], "2": [[FAST]]}, shrink=0.0))
    assert (found.faster, found.wins) == (2, 0)


def test_the_lock_of_another_process_is_seen_and_so_is_its_end(tmp_path):
    run = store_run(tmp_path / "run", {"1": [[FAST]]})
    assert not is_being_written(run)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        assert is_being_written(run)
        holder.stdin.close()
        holder.wait(timeout=30)
    assert not is_being_written(run)


def test_a_folder_without_a_lock_or_a_store_is_not_being_written(tmp_path):
    assert not is_being_written(tmp_path) and last_change(tmp_path) == 0.0


def test_spending_by_phase_round_and_task_adds_up_to_the_ledger(tmp_path):
    run = store_run(tmp_path / "run", {"1": [[FAST, SAME], [SAME, SAME]], "2": [[SAME, SAME], [FAST, FAST]]})
    with RunStore.open(run) as store:
        entries, total = store.spending(), store.ledger.total
    assert sum(entry.spend.rollouts for entry in entries) == total.rollouts == 8
    assert sum(entry.spend.evaluations for entry in entries) == total.evaluations
    assert {(entry.round, entry.task_key) for entry in entries if entry.phase == "sampling"} == {
        (round, f"fake/{task}") for round in (0, 1) for task in (1, 2)
    }
    assert sum(entry.spend.updates for entry in entries if entry.task_key is None) == 2


@pytest.mark.parametrize(
    ("config", "planned"),
    [
        (BEST_OF_N, 12),
        ({"strategy": {"type": "ttt", "k": 4, "steps": 5}}, 72),
        ({"strategy": {"type": "ttt", "k": 4, "steps": 5}, "budget": {"rollouts": 50}}, 50),
        ({"strategy": {"type": "something", "k": 4}}, None),
        ({"strategy": {"type": "best-of-n", "k": "many"}}, None),
        ({"strategy": {"type": "best-of-n", "k": -1}}, None),
        ({"strategy": "best-of-n"}, None),
        ({}, None),
    ],
)
def test_planned_samples_follow_the_configuration_or_are_not_known(config, planned):
    assert planned_samples(config, 3) == planned


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the kernel does not list its locks here")
def test_looking_does_not_touch_the_lock_file(tmp_path):
    run = store_run(tmp_path / "run", {"1": [[FAST]]})
    before = (run / database.LOCK_NAME).stat()
    is_being_written(run)
    after = (run / database.LOCK_NAME).stat()
    assert (before.st_mtime_ns, before.st_atime_ns) == (after.st_mtime_ns, after.st_atime_ns)
