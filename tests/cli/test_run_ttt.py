"""`assay run ttt`: the options, the plan, and a run of a tiny random model with a fake judge."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = ("run", "ttt", "--tasks", "plain_gelu,cumsum_loop", "--device", "cpu")


def options(model: str) -> tuple[str, ...]:
    return (*RUN, "--model", model, "-k", "4", "--steps", "2", "--max-tokens", "6", "--rank", "2", "--reward", "raw")


def test_a_dry_run_counts_all_rounds_and_resolves_every_option(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = ("--advantage", "rloo", "--loss", "ppo", "--learning-rate", "1e-6", "--shuffled", "--model", "smollm2-135m")
    code, out, _ = cli(
        *RUN, "-k", "6", "--steps", "2", "--rank", "8", "--reward", "sparse", *more, "--dry-run", "--json"
    )
    plan = json.loads(out)
    assert code == 0 and list(tmp_path.iterdir()) == []
    assert (plan["samples"], plan["rounds"], plan["updates"], plan["evaluations"]) == (36, 3, 2, 36)
    strategy = plan["config"]["strategy"]
    assert (strategy["type"], strategy["steps"], strategy["rank"], strategy["learning_rate"]) == ("ttt", 2, 8, 1e-6)
    assert (strategy["advantage"], strategy["loss"]) == ("rloo", "ppo")
    assert strategy["reward"]["type"] == "sparse" and strategy["reward"]["shuffled"]
    assert "3 rounds, with at most 2 updates" in cli(*RUN, "--steps", "2", "--dry-run")[1]


def test_the_recipe_is_a_valid_run(cli):
    code, out, _ = cli("run", "ttt", "--recipe", ROOT / "recipes" / "small" / "ttt.toml", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and plan["strategy"] == "ttt" and plan["device"] == "cpu" and plan["samples"] == 48


def test_a_run_ends_with_its_rounds_its_updates_and_what_they_support(cli, tiny, tmp_path):
    code, out, err = cli(*options(tiny), "--out", tmp_path / "run")
    assert code == 0 and "round 2: done" in err
    assert "Updates" in out and "Rounds of run" in out and "Which round to keep" in out
    assert "boa" in out and "early-stop-1" in out and "fixed-2" in out
    assert "2 updates over 3 rounds" in out and "learning (2 updates)" in out
    assert "measured and not learned from" in out


def test_json_has_the_rounds_and_resume_shows_them_again(cli, tiny, tmp_path):
    code, out, _ = cli(*options(tiny), "--out", tmp_path / "run", "--json")
    document = json.loads(out)
    found = document["adaptation"]
    assert code == 0 and document["strategy"] == "ttt" and document["spent"]["updates"] == 2
    assert [note["is_updated"] for note in found["steps"]] == [True, True, False]
    assert {choice["rule"] for choice in found["rounds"]["choices"]["raw"]} >= {"boa", "early-stop-1", "fixed-2"}
    assert json.loads(cli("resume", tmp_path / "run", "--json")[1]) == document
    assert cli("analyze", tmp_path / "run")[0] == 0 and cli("select", tmp_path / "run")[0] == 0


@pytest.mark.parametrize("kind", ["scripted", "replay"])
def test_what_cannot_be_trained_is_refused_before_there_is_a_run(cli, fakes, tmp_path, kind):
    if kind == "replay":
        model = f"replay:{tmp_path / 'source'}"
        cli("run", "best-of-n", "--tasks", "plain_gelu", "-k", "2", "--device", "cpu", "--out", tmp_path / "source")
    else:
        model = f"scripted:{tmp_path / 'script.json'}"
        (tmp_path / "script.json").write_text(json.dumps({"completions": {"*": ["return x"]}}))
    code, out, err = cli(*RUN, "--model", model, "--out", tmp_path / "run")
    assert (code, out) == (2, "") and "cannot be trained" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "1"], "strategy.k"),
        (["--steps", "0"], "strategy.steps"),
        (["--advantage", "entropic", "-k", "3"], "k >= 4"),
        (["--advantage", "best"], "group_center"),
        (["--loss", "mse"], "importance_sampling"),
        (["--rank", "0"], "strategy.rank"),
    ],
)
def test_a_wrong_setting_is_exit_code_2(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*RUN, *arguments)
    assert (code, out) == (2, "") and message in err
    assert list(tmp_path.iterdir()) == []
