import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from assay.core.errors import InfrastructureError
from assay.runs import lifecycle
from assay.runs.store import RunStore

HERE = Path(__file__).parent
ENV = {**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent}"}
RUN = ["run", "best-of-n", "--tasks", "plain_gelu", "cumsum_loop", "-k", "20", "--set", "sampling.chunk=2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["frobnicate"], 'Unknown command "frobnicate"'),
        (["run", "best-of-m"], "best-of-n"),
        (["run", "best-of-n", "--limt", "3"], "Did you mean --limit?"),
        (["run", "best-of-n", "--limit", "three"], "three"),
        (["run", "best-of-n", "--limit", "0", "--dry-run"], "tasks.limit"),
        (["run", "best-of-n", "-k", "0"], "strategy.k"),
        (["run", "best-of-n", "--tasks", "plain_gelo", "--device", "cpu"], "Did you mean plain_gelu"),
        (["run", "best-of-n", "--suite", "startr", "--device", "cpu"], "Did you mean starter"),
        (["run", "best-of-n", "--model", "qwen2.5-coder-0.5", "--device", "cpu"], "Did you mean qwen2.5-coder-0.5b"),
        (["run", "best-of-n", "--model", "openai:x@http://127.0.0.1:9", "--device", "cpu"], "no server answers there"),
        (["run", "best-of-n", "--device", "tpu"], "write cpu, cuda, cuda:N or auto"),
        (["run", "best-of-n", "--split", "seed:x", "--device", "cpu"], "seed:N"),
        (["run", "best-of-n", "--split", "nowhere.json", "--device", "cpu"], "nowhere.json"),
        (["run", "best-of-n", "--recipe", "nowhere.toml"], "nowhere.toml"),
        (["run", "best-of-n", "--set", "sampling.temprature=1"], "sampling.temperature"),
        (["resume", "nowhere"], "no run in nowhere"),
        (["select", "nowhere"], "no run in nowhere"),
        (["eval", "nowhere.py", "--reference", "starter/plain_gelu"], "nowhere.py"),
        (["eval", "nowhere.py", "--reference", "starter"], "name one of them"),
        (["eval", "nowhere.py"], "--reference"),
        (["tasks", "kernelbench/9"], "levels 1 to 4"),
    ],
)
def test_a_mistake_is_one_message_on_stderr_and_exit_code_2(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert message in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_a_task_file_without_a_model_is_a_usage_error(cli, tmp_path):
    (tmp_path / "task.py").write_text("def get_inputs():\n    return []\n")
    code, out, err = cli("run", "best-of-n", "--suite", tmp_path / "task.py", "--device", "cpu")
    assert (code, out) == (2, "") and "Model" in err


@pytest.mark.parametrize("content", [None, "{}"])
def test_a_model_that_cannot_be_read_is_a_usage_error_and_leaves_no_run(cli, tmp_path, content):
    folder = tmp_path / "model"
    if content is not None:
        folder.mkdir()
        (folder / "config.json").write_text(content)
    run = tmp_path / "run"
    code, out, err = cli(*RUN, "--device", "cpu", "--model", f"local:{folder}", "--out", run)
    assert (code, out) == (2, "") and str(folder) in err and "Traceback" not in err
    assert not run.exists()


def test_unknown_selectors_are_named_with_their_neighbours(cli, fakes, tmp_path):
    cli(*RUN, "--device", "cpu", "--out", tmp_path / "run")
    code, out, err = cli("select", tmp_path / "run", "--by", "surprisl")
    assert (code, out) == (2, "") and "Did you mean surprisal" in err


def test_a_run_over_another_is_refused_before_anything_is_loaded(cli, fakes, tmp_path, monkeypatch):
    cli(*RUN, "--device", "cpu", "--out", tmp_path / "run")
    monkeypatch.setattr(lifecycle, "load_policy", lambda *_: pytest.fail("loaded"))
    code, _, err = cli(*RUN, "--device", "cpu", "--out", tmp_path / "run")
    assert code == 2 and "assay resume" in err


def test_a_failure_of_ours_is_exit_code_1_without_a_traceback(cli, fakes, tmp_path, monkeypatch):
    def broken(config):
        raise InfrastructureError("the device is gone")

    monkeypatch.setattr(lifecycle, "load_evaluator", broken)
    code, out, err = cli(*RUN, "--device", "cpu", "--out", tmp_path / "run")
    assert (code, out) == (1, "") and "the device is gone" in err and "Traceback" not in err


@pytest.mark.parametrize(("sent", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 3)])
def test_a_signal_stops_cleanly_says_how_to_go_on_and_loses_nothing(tmp_path, sent, expected):
    run = tmp_path / "run"
    command = [sys.executable, str(HERE / "faked.py"), *RUN, "--device", "cpu", "--out", str(run), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)
    assert process.stderr is not None
    lines = []
    while not lines or "samples, " not in lines[-1]:  # the first task is sampled
        lines.append(process.stderr.readline())
        assert lines[-1], "".join(lines)
    process.send_signal(sent)
    out, err = process.communicate(timeout=60)
    assert process.returncode == expected
    assert out == "" and f"assay resume {run}" in err and "Traceback" not in err
    with RunStore.open(run) as store:
        assert not store.is_complete() and store.ledger.total.rollouts >= 20
    assert json.loads((run / "manifest.json").read_text())["sessions"][0]["outcome"] == "interrupted"

    resumed = subprocess.run([*command[:2], "resume", str(run), "--json"], capture_output=True, text=True, env=ENV)
    assert resumed.returncode == 0 and "are there already" in resumed.stderr
    document = json.loads(resumed.stdout)
    assert document["is_complete"] and document["spent"]["rollouts"] == 40
    sessions = json.loads((run / "manifest.json").read_text())["sessions"]
    assert [session["outcome"] for session in sessions] == ["interrupted", "done"]


def test_an_interrupted_run_can_be_selected_from_with_a_warning(cli, fakes, tmp_path):
    run = tmp_path / "run"
    cli(*RUN, "--device", "cpu", "--out", run)
    with RunStore.open(run, writable=True) as store:
        store._connection.execute("DELETE FROM evaluations WHERE task_key = 'starter/plain_gelu'")
    code, out, _ = cli("select", run, "--json")
    assert code == 0 and "not evaluated yet" in " ".join(json.loads(out)["warnings"])


def test_a_reader_that_goes_away_is_no_failure():
    command = f"{sys.executable} -c 'from assay.cli.main import main; raise SystemExit(main([\"tasks\"]))' | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_settings_of_another_version_are_a_usage_error(cli, fakes, tmp_path):
    run = tmp_path / "run"
    cli(*RUN, "--device", "cpu", "--out", run)
    with RunStore.open(run, writable=True) as store:
        store._connection.execute("DELETE FROM meta WHERE key = 'finished_at'")
        store._connection.execute("UPDATE meta SET value = '{\"sampler\": 1}' WHERE key = 'config'")
    code, _, err = cli("resume", run)
    assert code == 2 and "unknown key 'sampler'" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["eval", "a.py", "--reference", "starter/plain_gelu", "--fail-under", "nan"], "finite ratio"),
        (["eval", "a.py", "--reference", "starter/plain_gelu", "--minimal-effect", "-1"], "relative gain"),
        (["audit", "--skip", "aa,power,redteam"], "nothing to do"),
        (["audit", "--trials", "-3"], "at least 1"),
        (["run", "best-of-n", "--set", "evaluator.looks=[]", "--dry-run"], "looks"),
    ],
)
def test_numbers_that_cannot_be_meant_are_usage_errors(cli, arguments, words):
    code, _, errors = cli(*arguments)
    assert code == 2 and words in errors and "Traceback" not in errors
