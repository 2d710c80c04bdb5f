"""`assay run sdpo` and `rlvr`, and what all strategies share: budgets, seeds, weights to start from, isolated tasks."""

import json
from pathlib import Path

import pytest

from assay.runs.store import RunStore

SMALL = ("--device", "cpu", "-k", "4", "--max-tokens", "6")
TRAINED = ("--rank", "2", "--set", "strategy.alpha=4")
TWO = ("--tasks", "plain_gelu,cumsum_loop")


def run(strategy: str, model: str, *more: object) -> tuple[object, ...]:
    training = () if strategy == "best-of-n" else TRAINED
    return ("run", strategy, "--model", model, *SMALL, *training, *more)


def test_self_distillation_ends_with_its_teachers_lead_and_its_tokens(cli, tiny, tmp_path):
    code, out, _ = cli(*run("sdpo", tiny, *TWO, "--steps", "1", "--out", tmp_path / "run"))
    assert code == 0 and "teacher's lead" in out and "with a solution" in out
    assert "tokens of teachers and references" in out and "learning (1 update)" in out
    document = json.loads(cli("resume", tmp_path / "run", "--json")[1])
    first, last = document["adaptation"]["steps"]
    assert document["strategy"] == "sdpo" and document["spent"]["teacher_tokens"] > 1000
    assert first["is_updated"] and first["solutions"] is not None and not last["is_updated"]


@pytest.mark.parametrize(
    "more",
    [
        ("--teacher-weights", "ema", "--teacher", "feedback"),
        ("--divergence", "0.5", "--topk", "10", "--preset", "reference", "--teacher-weights", "initial"),
        ("--isolate", "--teacher", "prompt-only", "--kl-coef", "0.1"),
    ],
)
def test_every_kind_of_teacher_makes_its_updates(cli, tiny, tmp_path, more):
    code, out, err = cli(*run("sdpo", tiny, *TWO, "--steps", "2", "--out", tmp_path / "run", "--json", *more))
    assert code == 0, err
    found = json.loads(out)["adaptation"]
    assert any(note["is_updated"] for note in found["steps"])
    assert {note["task_key"] is None for note in found["steps"]} == {"--isolate" not in more}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sdpo", "--preset", "reference", "--teacher", "prompt-only"), "prompt-only, all"),
        (("sdpo", "--divergence", "0.5", "--kl-coef", "0.1"), "divergence has none"),
        (("sdpo", "--divergence", "2"), "strategy.divergence"),
        (("rlvr",), "--eval-every 0 for no evaluations"),
        (("rlvr", "--eval-tasks", "plain_gelu"), "trained on and evaluated"),
        (("best-of-n", "--budget", "samples=4"), "--budget samples=4"),
        (("best-of-n", "--budget", "rollouts=0"), "budget.rollouts"),
        (("best-of-n", "--budget", "rollouts=9", "--evaluate", "top-2"), "shortlist"),
        (("best-of-n", "--start", "nowhere"), "no run in nowhere"),
        (("best-of-n", "--seeds", "1,1"), "--seeds 1,1"),
        (("best-of-n", "--seeds", "1,2", "--seed", "3"), "give one of them"),
    ],
)
def test_what_does_not_fit_together_is_exit_code_2(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("run", arguments[0], *TWO, "--device", "cpu", *arguments[1:])
    assert (code, out) == (2, "") and message in err
    assert list(tmp_path.iterdir()) == []


def test_the_outer_loop_trains_on_one_half_and_is_evaluated_on_the_other(cli, tmp_path):
    arguments = ("--split", "seed:42", "--limit", "5", "--eval-limit", "3", "--steps", "4", "--eval-every", "2")
    code, out, _ = cli("run", "rlvr", "--device", "cpu", *arguments, "--dry-run", "--json")
    plan = json.loads(out)
    held_out = plan["config"]["strategy"]["eval_ids"]
    assert code == 0 and len(held_out) == 3 and len(plan["tasks"]) == 8
    assert {key.split("/")[1] for key in plan["tasks"][5:]} == set(held_out)
    assert (plan["rounds"], plan["updates"]) == (7, 4)
    assert plan["samples"] == 4 * 5 * 8 + 3 * 3 * 8


def test_an_outer_loop_ends_with_its_evaluations(cli, tiny, tmp_path):
    arguments = ("--eval-tasks", "plain_softmax", "--steps", "2", "--eval-every", "1", "--batch", "1", "--eval-k", "3")
    code, out, err = cli(*run("rlvr", tiny, *TWO, *arguments, "--out", tmp_path / "run", "--json"))
    assert code == 0, err
    found = json.loads(out)["adaptation"]
    assert [note["role"] for note in found["steps"]] == ["evaluation", "search"] * 2 + ["evaluation"]
    assert [row["round"] for row in found["rounds"]["rows"]] == [0, 2, 4] and found["rounds"]["tasks"] == 1
    assert "measured" in cli("resume", tmp_path / "run")[1]


def test_a_budget_ends_a_run_and_the_page_says_which(cli, fakes, tmp_path):
    arguments = ("run", "best-of-n", *TWO, "--device", "cpu", "-k", "30", "--out", tmp_path / "run")
    code, out, err = cli(*arguments, "--budget", "rollouts=20,seconds=1e6")
    assert code == 0 and "Budget: 20 rollouts, 1,000,000 seconds; ended by its rollouts." in out
    assert "budget: 20 rollouts" in err and "20 samples: about" in err and "was idle for" in out
    document = json.loads(cli("resume", tmp_path / "run", "--json")[1])
    assert document["is_complete"] and document["spent"]["rollouts"] == 20 and document["ended_by"] == "rollouts"
    assert document["devices"]["wall_s"] > 0 and document["devices"]["is_shared"]


def test_several_seeds_make_a_run_each_and_what_is_there_is_not_made_again(cli, fakes, tmp_path):
    arguments = ("run", "best-of-n", *TWO, "--device", "cpu", "-k", "4", "--out", tmp_path / "runs", "--json")
    code, out, _ = cli(*arguments, "--seeds", "7,8")
    first = json.loads(out)
    assert code == 0 and [Path(one["directory"]).name for one in first["runs"]] == ["seed-7", "seed-8"]
    assert json.loads((tmp_path / "runs" / "seed-8" / "config.json").read_text())["seed"] == 8
    assert json.loads(cli(*arguments, "--seeds", "7,8")[1]) == first
    assert len(json.loads(cli(*arguments, "--seeds", "8,9")[1])["runs"]) == 2


def test_a_run_begins_with_the_weights_of_another(cli, tiny, tmp_path):
    assert cli(*run("ttt", tiny, *TWO, "--steps", "2", "--reward", "raw", "--out", tmp_path / "first"))[0] == 0
    start = ("--start", f"{tmp_path / 'first'}:2")
    code, out, err = cli(*run("best-of-n", tiny, *TWO, *start, "--out", tmp_path / "second", "--json"))
    assert code == 0, err
    assert json.loads(out)["start"] == f"{tmp_path / 'first'}:2" and "begins with the weights of" in err
    snapshots = []
    for name, round in (("first", 2), ("second", 0)):
        with RunStore.open(tmp_path / name) as store:
            snapshots.append(store.snapshots(round))
    assert snapshots[0] == snapshots[1]
    code, _, err = cli(*run("sdpo", tiny, *TWO, "--steps", "1", *start, "--out", tmp_path / "third"))
    assert code == 0, err
    first = tmp_path / "first"
    for model, wrong, message in (
        (tiny, (*start, "--set", "strategy.alpha=9"), "--rank 2 --set strategy.alpha=4"),
        (tiny, ("--start", f"{first}:9"), "it has those of the steps 0, 1, 2"),
        (tiny, ("--start", f"{first}:0"), "step 0 is the unadapted model"),
        ("smollm2-135m", start, "fit no other model"),
    ):
        code, _, err = cli(*run("ttt", model, *TWO, *wrong, "--out", tmp_path / "none"))
        assert code == 2 and message in err


def test_an_isolated_run_gives_no_weights_to_start_from(cli, tiny, tmp_path):
    assert cli(*run("ttt", tiny, *TWO, "--steps", "1", "--isolate", "--out", tmp_path / "first"))[0] == 0
    code, _, err = cli(*run("best-of-n", tiny, *TWO, "--start", tmp_path / "first", "--out", tmp_path / "second"))
    assert code == 2 and "every task weights of its own" in err
