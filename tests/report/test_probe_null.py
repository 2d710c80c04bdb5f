"""The null of a probe: speedups of copies, surprisal as it was."""

import importlib
from pathlib import Path

import pytest

from assay.core.ledger import Spend
from assay.core.records import Evaluation, Provenance, Speedup, Status, Verdict
from assay.report.probe import probe_table
from assay.report.probe_null import null_probe
from assay.runs.probe import Probe, ProbeStep, read_pool
from assay.runs.schema import Purpose
from assay.runs.store import RunStore

ROOT = Path(__file__).parents[1]
FAST, WRONG = "ratio=1.5", "status=wrong_output"


@pytest.fixture
def stored(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT))
    store_run = importlib.import_module("stored_runs").store_run
    return store_run(tmp_path / "run", {"a": [[FAST, FAST, WRONG]], "b": [[FAST, FAST]], "c": [[FAST]]})


def add_copies(run: Path, task: str, *raws: float | None) -> None:
    with RunStore.open(run, writable=True) as store:
        for number, raw in enumerate(raws):
            speedup = None
            if raw is not None:
                speedup = Speedup(ratio=1.0, low=0.9, high=1.1, margin=0.01, pairs=5, replicates=1, raw=raw)
            evaluation = Evaluation(
                task_key=f"fake/{task}",
                candidate_hash=f"{task}{number}",
                status=Status.RUNTIME_ERROR if raw is None else Status.CORRECT,
                verdict=None if raw is None else Verdict.SAME,
                speedup=speedup,
                provenance=Provenance(device="cpu"),
            )
            store.add_evaluation(evaluation, Purpose.CONTROL, Spend(), None)


def probe_of(run: Path) -> Probe:
    pool = read_pool(run).pool
    sums = {one.id: -float(place) for place, one in enumerate(pool.samples, 1)}
    return Probe(pool, (ProbeStep(step=0, snapshot_id="s", sums=sums, spend=Spend()),))


def test_each_program_has_a_measurement_of_a_copy_of_its_own_task(stored):
    add_copies(stored, "a", 1.2)
    add_copies(stored, "b", 0.8)
    found = null_probe(probe_of(stored), stored)
    assert found is not None
    assert [(one.task_key, one.raw, one.ratio, one.verdict) for one in found.pool.samples] == [
        ("fake/a", 1.2, 1.0, Verdict.SAME),
        ("fake/a", 1.2, 1.0, Verdict.SAME),
        ("fake/b", 0.8, 1.0, Verdict.SAME),
        ("fake/b", 0.8, 1.0, Verdict.SAME),
    ]
    table = probe_table(stored, found, is_null=True)
    assert table.is_null and table.correct == 4 and table.tasks == 2


def test_a_copy_that_failed_takes_its_samples_out_and_no_copies_leave_no_null(stored):
    assert null_probe(probe_of(stored), stored) is None
    add_copies(stored, "c", None)
    assert null_probe(probe_of(stored), stored) is None
