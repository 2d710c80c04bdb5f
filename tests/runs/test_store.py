import errno
import os
import sqlite3
import subprocess
import sys

import pytest
from fakes import control, judge, make_task, render
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import StoreError, UsageError
from assay.core.ledger import Spend
from assay.core.records import Candidate, Completion, ParseFailure, Sample, SamplingParams, Status, StopReason
from assay.runs import database
from assay.runs.blobs import pack_logprobs, pack_tokens, unpack_logprobs, unpack_tokens
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore

TASK = make_task()
PROMPT = render(TASK)
FAST = Candidate(source="class ModelNew(Model): pass  # ratio=1.5")


def drawn(index, outcome, tokens=(1, 2), logprobs=(-0.1, -0.25), round=0):
    completion = Completion(tokens=tokens, logprobs=logprobs, text="text", stop_reason=StopReason.STOP)
    sample = Sample(
        id=f"{round}:{TASK.key}:{index}",
        task_key=TASK.key,
        round=round,
        index=index,
        snapshot_id="s",
        prompt_hash=PROMPT.hash,
        prompt_tokens=7,
        params=SamplingParams(seed=index),
        completion=completion,
    )
    return Drawn(sample, outcome)


@pytest.fixture
def store(tmp_path):
    with RunStore.create(tmp_path / "run", {"seed": 1}, [TASK]) as store:
        yield store


def test_what_is_written_is_read_back_exactly(store):
    one = drawn(0, FAST, tokens=(5, 151643), logprobs=(-0.1, -1e-30))
    two = drawn(1, ParseFailure(reason="no class"), tokens=(), logprobs=())
    store.add_samples(PROMPT, [one, two], Spend(rollouts=2, prompt_tokens=14))
    store.add_evaluation(judge(TASK, FAST, 1.0), Purpose.SEARCH, Spend(evaluations=1, evaluation_s=0.5), 0)
    store.close()
    with RunStore.open(store.directory) as again:
        assert list(again.samples()) == [one.sample, two.sample]
        assert again.tasks() == (TASK,)
        assert again.prompt(PROMPT.hash) == PROMPT
        assert again.config == {"seed": 1}
        first, second = again.attempts()
        assert first.candidate == FAST and first.evaluation == judge(TASK, FAST, 1.0)
        assert second.candidate is None and second.evaluation.status is Status.PARSE_ERROR
        assert second.evaluation.error == "no class"
        assert again.ledger.total == Spend(rollouts=2, prompt_tokens=14, evaluations=1, evaluation_s=0.5)
    assert (store.directory / "candidates" / f"{FAST.hash}.py").read_text() == FAST.source


def test_samples_that_gave_the_same_program_share_one_evaluation(store):
    store.add_samples(PROMPT, [drawn(0, FAST), drawn(1, FAST)], Spend())
    assert store.unevaluated(0, TASK.key) == [FAST]
    store.add_evaluation(judge(TASK, FAST, 1.0), Purpose.SEARCH, Spend(evaluations=1))
    assert store.unevaluated(0, TASK.key) == []
    assert [a.evaluation.speedup.ratio for a in store.attempts()] == [1.5, 1.5]
    with pytest.raises(StoreError, match="UNIQUE"):
        store.add_evaluation(judge(TASK, FAST, 1.0), Purpose.SEARCH, Spend(evaluations=1))
    assert store.ledger.total.evaluations == 1


def test_remeasurements_and_controls_never_stand_in_for_the_first_look(store):
    store.add_samples(PROMPT, [drawn(0, FAST)], Spend())
    store.add_evaluation(judge(TASK, FAST, 0.5), Purpose.SELECTED, Spend())
    store.add_evaluation(judge(TASK, control(TASK), 1.0), Purpose.CONTROL, Spend())
    assert store.unevaluated(0, TASK.key) == [FAST]
    assert store.pool_columns().status == [None]
    with pytest.raises(StoreError, match="not evaluated yet"):
        store.attempts()


def test_a_chunk_is_stored_whole_or_not_at_all(store):
    store.add_samples(PROMPT, [drawn(1, FAST)], Spend(rollouts=1))
    with pytest.raises(StoreError):
        store.add_samples(PROMPT, [drawn(0, FAST), drawn(1, FAST)], Spend(rollouts=2))
    assert store.indices(0, TASK.key) == {1}
    assert store.ledger.total.rollouts == 1


def test_pool_columns_of_an_empty_run_are_empty(store):
    assert store.pool_columns().task_key == []


def test_pool_columns_agree_with_the_records(store):
    store.add_samples(PROMPT, [drawn(0, FAST), drawn(1, ParseFailure(reason="x"))], Spend())
    store.add_evaluation(judge(TASK, FAST, 1.0), Purpose.SEARCH, Spend())
    store.set_rewards({f"0:{TASK.key}:0": 0.25})
    pool = store.pool_columns()
    samples = list(store.samples())
    assert pool.mean_logprob == [s.mean_logprob for s in samples]
    assert pool.status == ["correct", "parse_error"]
    assert pool.verdict == ["faster", None] and pool.ratio == [1.5, None] and pool.raw == [1.53, None]
    assert pool.reward == [0.25, None]
    assert store.attempts()[0].reward == 0.25


def test_a_second_writer_is_refused_and_a_reader_is_not(store):
    with pytest.raises(UsageError, match="another process is writing"):
        RunStore.open(store.directory, writable=True)
    RunStore.open(store.directory).close()


def test_the_lock_ends_with_the_writer(store):
    store.close()
    RunStore.open(store.directory, writable=True).close()


def test_a_run_is_not_begun_over_another(store):
    store.close()
    with pytest.raises(UsageError, match="assay resume"):
        RunStore.create(store.directory, {}, [TASK])


def test_a_folder_without_a_run_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="no run in"):
        RunStore.open(tmp_path)


def test_a_store_of_a_newer_version_is_refused(store):
    store.close()
    connection = sqlite3.connect(store.directory / "run.sqlite")
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'store_version'")
    connection.commit()
    connection.close()
    with pytest.raises(UsageError, match="newer Assay"):
        RunStore.open(store.directory)


def test_a_file_that_is_no_database_is_a_store_error_with_its_path(tmp_path):
    (tmp_path / "run.sqlite").write_text("not a database at all, but text of some length")
    with pytest.raises(StoreError, match=str(tmp_path)):
        RunStore.open(tmp_path)


def test_a_directory_that_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        RunStore.create(tmp_path / "file" / "run", {}, [TASK])


def test_a_full_disk_is_a_store_error_and_leaves_the_run_resumable(store):
    store.add_samples(PROMPT, [drawn(0, FAST)], Spend(rollouts=1))
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="full"):
        for index in range(1, 10_000):
            store.add_samples(PROMPT, [drawn(index, FAST)], Spend(rollouts=1))
    kept = store.indices(0, TASK.key)
    assert store.ledger.total.rollouts == len(kept)
    store.close()
    with RunStore.open(store.directory, writable=True) as again:
        assert again.indices(0, TASK.key) == kept
        again.add_samples(PROMPT, [drawn(len(kept), FAST)], Spend(rollouts=1))


def test_no_space_for_a_candidate_file_stores_nothing_of_the_chunk(store, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("assay.runs.store.os.replace", full)
    with pytest.raises(StoreError, match="No space left"):
        store.add_samples(PROMPT, [drawn(0, FAST)], Spend(rollouts=1))
    assert store.indices(0, TASK.key) == set()


def test_lost_candidate_files_are_written_again(store):
    store.add_samples(PROMPT, [drawn(0, FAST)], Spend())
    path = store.directory / "candidates" / f"{FAST.hash}.py"
    path.unlink()
    store.close()
    RunStore.open(store.directory, writable=True).close()
    assert path.read_text() == FAST.source


def test_a_run_on_a_read_only_file_system_can_be_read(store):
    store.add_samples(PROMPT, [drawn(0, FAST)], Spend())
    store.close()
    store.directory.chmod(0o500)
    try:
        with RunStore.open(store.directory) as again:
            assert again.indices(0, TASK.key) == {0}
    finally:
        store.directory.chmod(0o700)


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_store import *
store = RunStore.create(Path(sys.argv[1]), {}, [TASK])
for index in range(100_000):
    store.add_samples(PROMPT, [drawn(index, FAST)], Spend(rollouts=1))
    print(index, flush=True)
"""


def test_everything_shown_as_done_survives_kill_9(tmp_path):
    paths = [str(tmp_path / "run"), os.path.dirname(__file__)]
    env = {**os.environ, "PYTHONPATH": os.path.join(os.path.dirname(__file__), "..")}
    process = subprocess.Popen([sys.executable, "-c", KILLED, *paths], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    shown = [int(process.stdout.readline()) for _ in range(25)]
    process.kill()
    shown += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    process.stdout.close()
    with RunStore.open(tmp_path / "run", writable=True) as store:
        assert set(shown) <= store.indices(0, TASK.key)
        assert store.ledger.total.rollouts == len(store.indices(0, TASK.key))


@given(st.lists(st.floats(max_value=0, allow_nan=False)), st.lists(st.integers(0, 2**31 - 1)))
def test_blobs_give_back_what_they_were_given(logprobs, tokens):
    assert unpack_logprobs(pack_logprobs(logprobs), len(logprobs)) == tuple(logprobs)
    assert unpack_tokens(pack_tokens(tokens)) == tuple(tokens)


def test_float32_logprobs_take_four_bytes():
    assert len(pack_logprobs([-0.5, -0.25])) == 8
    assert len(pack_logprobs([-0.1])) == 8


def test_a_beginning_that_failed_leaves_no_run_and_can_be_begun_again(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    database.connect(directory, writable=True).close()  # an empty database, as a full disk leaves it
    assert not database.holds_run(directory)
    with RunStore.create(directory, {}, []):
        assert database.holds_run(directory)


def test_a_file_in_place_of_the_directory_is_the_users_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        RunStore.create(tmp_path / "run", {}, [])


def test_deleted_candidate_files_are_written_again(tmp_path):
    RunStore.create(tmp_path / "run", {}, []).close()
    (tmp_path / "run" / "candidates").rmdir()
    with RunStore.open(tmp_path / "run", writable=True):
        assert (tmp_path / "run" / "candidates").is_dir()
