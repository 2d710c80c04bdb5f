"""`assay probe` and `assay transfer` on a run of a tiny random model with a fake judge, and the two new strategies."""

import json
import shutil

import pytest

from assay.runs.store import RunStore

TASKS = "plain_gelu,cumsum_loop"


@pytest.fixture(scope="module")
def kept():
    """The run that all tests begin with, made by the first of them."""
    return {}


@pytest.fixture
def trained(cli, tiny, tmp_path, tmp_path_factory, kept):
    if "run" not in kept:
        kept["run"] = train(cli, tiny, tmp_path_factory.mktemp("trained") / "ttt")
    return shutil.copytree(kept["run"], tmp_path / "ttt")


def train(cli, tiny, directory):
    options = ("--tasks", TASKS, "--model", tiny, "-k", "6", "--steps", "2", "--max-tokens", "6", "--rank", "2")
    more = ("--reward", "raw", "--learning-rate", "1e-2", "--kl-limit", "0")
    code, _, err = cli("run", "ttt", *options, *more, "--device", "cpu", "--out", directory)
    assert code == 0, err
    return directory


def test_a_probe_scores_every_checkpoint_once_and_then_only_shows_it(cli, trained):
    code, out, err = cli("probe", trained, "--json")
    table = json.loads(out)
    assert code == 0 and [row["step"] for row in table["rows"]] == [0, 1, 2]
    assert table["agreement"] < 1e-3 and table["spent"]["teacher_tokens"] > 0
    assert "step 2:" in err and "(3 of 3)" in err
    again = cli("probe", trained, "--json")
    assert json.loads(again[1]) == table and "scored" not in again[2]
    code, out, _ = cli("probe", trained, "--steps", "0,2")
    assert code == 0 and "Surprisal and raw speedup" in out and "2 checkpoints" in out


def test_analyze_shows_the_probe_of_a_run(cli, trained):
    assert json.loads(cli("analyze", trained, "--json")[1])["probes"] == []
    cli("probe", trained)
    document = json.loads(cli("analyze", trained, "--json")[1])
    assert [row["step"] for row in document["probes"][0]["rows"]] == [0, 1, 2]
    assert "Probe of" in cli("analyze", trained)[1]
    code, out, err = cli("analyze", trained, "--null", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert all(one["is_null"] for one in document["probes"])
    assert document["probes"] or "has no null" in " ".join(document["warnings"])


@pytest.mark.parametrize(("arguments", "message"), [(("--steps", "7"), "0, 1, 2"), (("--steps", "x"), "whole numbers")])
def test_a_probe_of_what_is_not_there_is_exit_code_2(cli, trained, arguments, message):
    code, out, err = cli("probe", trained, *arguments)
    assert (code, out) == (2, "") and message in err


def test_a_transfer_is_two_ordinary_runs_and_a_table(cli, trained, tmp_path):
    out_dir = tmp_path / "transfer"
    options = ("transfer", trained, "--tasks", "plain_softmax,plain_row_sum,plain_gelu", "-k", "4", "--out", out_dir)
    code, out, err = cli(*options, "--json")
    assert code == 0, err
    (table,) = json.loads(out)["transfers"]
    assert table["step"] == 2 and table["is_complete"]
    assert [line["is_trained_on"] for line in table["lines"]] == [False, True, False]
    assert table["compared"] == ["starter/plain_softmax", "starter/plain_row_sum"]
    assert {side: spent["rollouts"] for side, spent in table["spent"].items()} == {"base": 12, "adapted": 12}
    with RunStore.open(out_dir / "base") as base, RunStore.open(out_dir / "adapted") as adapted:
        assert base.snapshots(0) != adapted.snapshots(0) and str(adapted.config["start"]).endswith("ttt:2")
    shown = cli(*options)
    assert shown[0] == 0 and "Transfer of step 2" in shown[1] and "has not learned from" in shown[1]
    assert "round 0" not in shown[2]  # everything was there
    for named in ((out_dir,), (out_dir / "adapted", out_dir / "base"), (trained,)):
        code, out, err = cli("analyze", *named, "--json")
        assert code == 0, err
        (again,) = json.loads(out)["transfer"]
        assert (again["lines"], again["compared"]) == (table["lines"], table["compared"])
    assert "Transfer of step 2" in cli("analyze", trained, "--null")[1]
    assert cli("resume", out_dir / "adapted")[0] == 0


def test_an_interrupted_transfer_goes_on_with_the_same_command(cli, trained, tmp_path):
    out_dir = tmp_path / "transfer"
    options = ("transfer", trained, "--tasks", "plain_softmax", "-k", "4", "--out", out_dir, "--step", "1", "--json")
    whole = json.loads(cli(*options)[1])
    other = tmp_path / "stopped"
    same = tuple(other if one == out_dir else one for one in options)
    config = ("--tasks", "plain_softmax", "-k", "4")
    assert cli("transfer", trained, *config, "--out", other, "--step", "1")[0] == 0
    shutil.rmtree(other / "adapted")  # the process ended before its second side was begun
    code, out, err = cli(*same)
    assert code == 0 and str(other / "adapted") in err and str(other / "base") not in err.split("best-of-n")[0]
    again = json.loads(out)["transfers"][0]
    assert again["lines"] == whole["transfers"][0]["lines"]


def test_other_options_than_those_of_the_stored_sides_are_refused(cli, trained, tmp_path):
    options = ("transfer", trained, "--tasks", "plain_softmax", "--out", tmp_path / "t")
    assert cli(*options, "-k", "2")[0] == 0
    code, _, err = cli(*options, "-k", "4")
    assert code == 2 and "another strategy" in err


def test_both_directions_stand_in_one_document(cli, tiny, trained, tmp_path):
    options = ("--tasks", "plain_softmax", "--model", tiny, "-k", "6", "--steps", "1", "--max-tokens", "6")
    more = ("--rank", "2", "--reward", "raw", "--device", "cpu", "--out", tmp_path / "two")
    assert cli("run", "ttt", *options, *more)[0] == 0
    code, out, err = cli("transfer", trained, "--other", tmp_path / "two", "-k", "2", "--out", tmp_path / "t", "--json")
    assert code == 0, err
    there, back = json.loads(out)["transfers"]
    assert [line["task"] for line in there["lines"]] == ["starter/plain_softmax"]
    assert len(back["lines"]) == 2 and (there["step"], back["step"]) == (2, 1)
    assert (tmp_path / "t" / "there" / "base").is_dir() and (tmp_path / "t" / "back" / "adapted").is_dir()


def test_without_tasks_all_that_the_run_did_not_learn_from_are_taken(trained, tmp_path):
    from assay.runs.transfer import Wanted, plan_transfer

    plan = plan_transfer(trained, Wanted(None, 4), tmp_path / "t")
    keys = {task.key for task in plan.base.tasks}
    assert len(keys) > 10 and not keys & plan.trained and plan.adapted.tasks == plan.base.tasks


def test_step_0_and_a_run_without_weights_transfer_nothing(cli, tiny, trained, tmp_path):
    code, _, err = cli("transfer", trained, "--tasks", "plain_softmax", "--step", "0", "--out", tmp_path / "t")
    assert code == 2 and "nothing was learned" in err
    options = ("--tasks", "plain_gelu", "--model", tiny, "-k", "2", "--max-tokens", "4", "--device", "cpu")
    cli("run", "best-of-n", *options, "--out", tmp_path / "bon")
    code, _, err = cli("transfer", tmp_path / "bon", "--out", tmp_path / "t")
    assert code == 2 and "no saved weights" in err


def test_refine_runs_its_turns_and_ends_with_its_tables(cli, tiny, tmp_path):
    options = ("--tasks", TASKS, "--model", tiny, "-k", "3", "--turns", "2", "--max-tokens", "6", "--device", "cpu")
    assert "12 samples" in cli("run", "refine", *options, "--dry-run")[1]
    code, out, err = cli("run", "refine", *options, "--out", tmp_path / "refine", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["strategy"] == "refine" and document["spent"]["rollouts"] == 12
    assert [row["turn"] for row in document["refinement"]["turns"]] == [0, 1]
    assert "Turns" in cli("resume", tmp_path / "refine")[1]


def test_refine_refuses_a_replay_which_has_no_answer_to_new_prompts(cli, tiny, trained, tmp_path):
    options = ("--tasks", TASKS, "--model", f"replay:{trained}", "-k", "2", "--turns", "2", "--device", "cpu")
    code, _, err = cli("run", "refine", *options, "--out", tmp_path / "refine")
    assert code == 2 and "a replay cannot answer" in err and not (tmp_path / "refine").exists()


def test_discover_runs_its_steps_and_ends_with_its_tables(cli, tiny, tmp_path):
    options = ("--tasks", TASKS, "--model", tiny, "--groups", "2", "--steps", "2", "--max-tokens", "6")
    more = ("-k", "8", "--rank", "2", "--reward", "raw", "--device", "cpu")
    code, out, err = cli("run", "discover", *options, *more, "--out", tmp_path / "discover", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["strategy"] == "discover" and document["spent"]["rollouts"] == 48
    assert [note["is_updated"] for note in document["adaptation"]["steps"]] == [True, True, False]
    code, _, err = cli("run", "discover", *options, "-k", "9", "--dry-run")
    assert code == 2 and "groups of one size" in err
