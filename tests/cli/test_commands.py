import json
import subprocess
import sys

import pytest

from assay.runs.schema import Purpose
from assay.runs.store import RunStore

RUN = ("run", "best-of-n", "--tasks", "plain_gelu,cumsum_loop", "-k", "6", "--device", "cpu")


def test_a_run_ends_with_its_tables_in_plain_text_when_piped(cli, fakes, tmp_path):
    code, out, err = cli(*RUN, "--out", tmp_path / "run")
    assert code == 0
    assert "By task" in out and "By selector" in out and "(starter)" in out and "plain_gelu" in out
    assert "Of 2 identical copies of the references, 0 were called faster" in out
    assert str(tmp_path / "run") in out
    assert "\x1b" not in out + err
    assert "round 0: 2 tasks, 12 samples" in err


def test_json_puts_exactly_one_document_on_stdout(cli, fakes, tmp_path):
    code, out, err = cli(*RUN, "--out", tmp_path / "run", "--json")
    document = json.loads(out)
    assert code == 0
    assert {line["task"] for line in document["tasks"]} == {"starter/plain_gelu", "starter/cumsum_loop"}
    assert document["in_words"] and document["is_complete"]
    assert "round 0" in err


def test_a_dry_run_says_what_it_would_cost_and_touches_nothing(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*RUN, "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and err == ""
    assert plan["samples"] == 12 and plan["completion_tokens"] == 12 * 256 and plan["controls"] == 2
    assert plan["config"]["strategy"]["k"] == 6
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_does_not_import_torch_models(tmp_path):
    script = f"import sys; from assay.cli.main import main; main({[*RUN, '--dry-run']!r}); "
    script += "sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True).returncode == 0


def test_help_imports_nothing_heavy():
    heavy = ("torch", "transformers", "numpy", "scipy", "peft")
    script = "import sys; from assay.cli.main import main; main(['--help']); "
    script += f"sys.exit(any(module in sys.modules for module in {heavy}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert "best-of-n" in done.stdout


@pytest.mark.parametrize(
    "command", ["demo", "run best-of-n", "run ttt", "resume", "eval", "select", "tasks", "models", "doctor"]
)
def test_every_command_explains_itself(cli, command):
    code, out, _ = cli(*command.split(), "--help")
    assert code == 0 and "--json" in out


def test_the_resolved_configuration_and_the_manifest_are_saved(cli, fakes, tmp_path):
    cli(*RUN, "--out", tmp_path / "run", "--set", "sampling.top_p=0.9", "--seed", "7")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["sampling"]["top_p"] == 0.9 and config["device"] == "cpu" and config["seed"] == 7
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    (session,) = manifest["sessions"]
    assert session["outcome"] == "done" and session["ended"] >= session["started"]
    assert manifest["seed"] == 7 and session["versions"]["assay"]


def test_the_default_directory_is_a_new_one_under_runs(cli, fakes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli(*RUN)[0] == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.endswith("best-of-n")


def test_a_finished_run_that_is_resumed_shows_its_tables_again(cli, fakes, tmp_path):
    first = cli(*RUN, "--out", tmp_path / "run", "--json")[1]
    code, again, _ = cli("resume", tmp_path / "run", "--json")
    assert code == 0 and json.loads(again) == json.loads(first)
    assert len(json.loads((tmp_path / "run" / "manifest.json").read_text())["sessions"]) == 1


def test_select_has_the_keys_of_the_contract(cli, fakes, tmp_path):
    cli(*RUN, "--out", tmp_path / "run")
    code, out, _ = cli("select", tmp_path / "run", "--by", "oracle,surprisal", "--json")
    document = json.loads(out)
    assert code == 0
    assert {"tasks", "selectors"} <= set(document)
    assert set(document["selectors"]) == {"oracle", "surprisal"}
    keys = {"fast_1_raw", "fast_1_verified", "geomean_speedup", "timing_runs", "interval"}
    assert keys <= set(document["selectors"]["oracle"])
    code, out, _ = cli("select", tmp_path / "run")
    assert code == 0 and "surprisal-top-3" in out


def test_demo_searches_five_tasks_with_controls_and_then_adapts_to_two(cli, tiny, tmp_path):
    code, out, err = cli("demo", "--model", tiny, "-k", "2", "--out", tmp_path / "run", "--json")
    assert code == 0
    document = json.loads(out)
    assert len(document["best-of-n"]["tasks"]) == 5 and document["best-of-n"]["selectors"]
    assert len(document["adaptation"]["tasks"]) == 2 and len(document["adaptation"]["adaptation"]["steps"]) == 2
    assert "identical copy" in err
    with RunStore.open(tmp_path / "run" / "best-of-n") as store:
        assert len(store.evaluations(Purpose.CONTROL)) == 10


@pytest.mark.parametrize(("options", "steps"), [((), {"best-of-n", "adaptation"}), (("-k", "1"), {"best-of-n"})])
def test_a_dry_demo_has_the_plan_of_each_of_its_runs(cli, tmp_path, options, steps):
    code, out, _ = cli("demo", *options, "--out", tmp_path / "run", "--dry-run", "--json")
    assert code == 0 and set(json.loads(out)) == steps
    assert not (tmp_path / "run").exists()


def test_a_demo_of_a_model_that_cannot_be_trained_searches_only(cli, fakes, tmp_path):
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"completions": {"*": ["return x\n"]}}))
    code, out, err = cli("demo", "--model", f"scripted:{script}", "--out", tmp_path / "run", "-k", "2", "--json")
    assert code == 0 and "no adaptation" in err and "adaptation" not in json.loads(out)


def test_a_recipe_is_overridden_by_options(cli, fakes, tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('seed = 3\n[strategy]\nk = 1\n[tasks]\nids = ["plain_gelu"]\n')
    code, out, _ = cli("run", "best-of-n", "--recipe", recipe, "-k", "2", "--device", "cpu", "--dry-run", "--json")
    assert code == 0
    assert json.loads(out)["samples"] == 2 and json.loads(out)["config"]["seed"] == 3


def test_tasks_and_models_list_what_there_is(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    code, out, _ = cli("tasks", "starter", "--json")
    assert code == 0 and "plain_gelu" in {task["id"] for task in json.loads(out)}
    code, out, _ = cli("models", "--json")
    assert code == 0 and json.loads(out)[0]["at_hand"] is None
    assert "plain_gelu" in cli("tasks")[1] and "qwen2.5-coder-0.5b" in cli("models")[1]


def test_doctor_finds_python_and_torch(cli):
    code, out, _ = cli("doctor", "--json")
    found = {one["what"]: one for one in json.loads(out)}
    assert code == 0
    assert found["python"]["state"] == "good" and found["torch"]["state"] == "good"
    assert "python" in cli("doctor")[1]


def test_eval_of_text_that_is_no_program_is_a_parse_error_and_fails_any_threshold(cli, tmp_path):
    (tmp_path / "bad.py").write_text("def :")
    arguments = ("eval", tmp_path / "bad.py", "--reference", "starter/plain_gelu", "--json")
    code, out, _ = cli(*arguments)
    document = json.loads(out)
    assert code == 0
    assert document["status"] == "parse_error" and document["speedup"] is None and document["verdict"] is None
    keys = {"status", "flags", "verdict", "speedup", "candidate_ms", "reference_ms", "sandbox", "device"}
    assert keys <= set(document)
    assert cli(*arguments, "--fail-under", "0.5")[0] == 4


@pytest.mark.slow
def test_eval_of_an_identical_program_is_not_faster(cli, tmp_path):
    from assay.runs.build import reference_copy
    from assay.runs.single import reference_task

    copy = tmp_path / "copy.py"
    copy.write_text(reference_copy(reference_task("starter/plain_gelu")).source)
    arguments = ("eval", copy, "--reference", "starter/plain_gelu", "--device", "cpu")
    code, out, _ = cli(*arguments, "--json", "--fail-under", "1.5")
    document = json.loads(out)
    assert code == 4
    assert document["status"] == "correct" and document["verdict"] != "faster"
    assert {"ratio", "low", "high", "margin", "pairs", "replicates"} <= set(document["speedup"])
