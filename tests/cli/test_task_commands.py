"""Splits, audits, modules of one's own, the published rule and KernelBench's runs, from the command line."""

import json

import pytest

from assay.runs import build
from assay.tasks.kernelbench import CHECKOUT_VARIABLE

BLOCK = """import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(32, 32)

    def forward(self, x):
        for _ in range(12):
            y = torch.relu(self.linear(x))
        return y
"""
ONCE = "return torch.relu(self.linear(x))"
FAST = BLOCK.replace("Block", "ModelNew").replace(
    "        for _ in range(12):\n            y = torch.relu(self.linear(x))\n        return y", f"        {ONCE}"
)
PROBLEM = """import torch
import torch.nn as nn


class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)


def get_inputs():
    return [torch.rand(64, 64)]


def get_init_inputs():
    return []
"""
DRY = ("--dry-run", "--device", "cpu", "--json")
QUICK = ("--set", "evaluator.looks=[1]", "--set", "evaluator.calibration_replicates=3", "--set", "remeasure=1")


@pytest.fixture
def block(tmp_path, monkeypatch):
    """A folder with a module of the user's own and a faster program; the evaluator's caches go there too."""
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "block.py").write_text(BLOCK)
    (tmp_path / "fast.py").write_text(FAST)
    return tmp_path


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A KernelBench checkout of three problems in level 1."""
    folder = tmp_path / "KernelBench" / "level1"
    folder.mkdir(parents=True)
    for number in (1, 2, 10):
        (folder / f"{number}_relu.py").write_text(PROBLEM)
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(tmp_path))
    return tmp_path


def _planned(cli, *arguments):
    code, out, err = cli("run", "best-of-n", *arguments, *DRY)
    assert code == 0, err
    return [key.rpartition("/")[2] for key in json.loads(out)["tasks"]]


# -- splits ------------------------------------------------------------------------------------------------------


def test_a_split_file_gives_a_run_its_halves_and_windows_of_them(cli, tmp_path):
    code, out, err = cli("split", "starter", "--seed", "3", "--out", tmp_path / "s.json", "--json")
    split = json.loads(out)
    assert code == 0 and split == json.loads((tmp_path / "s.json").read_text())
    assert split["seed"] == 3 and split["hash"] in err and len(split["train"]) == 38 and len(split["eval"]) == 10
    given = ("--split", tmp_path / "s.json")
    assert set(_planned(cli, *given)) == set(_planned(cli, *given, "--subset", "eval")) == set(split["eval"])
    assert set(_planned(cli, *given, "--subset", "train")) == set(split["train"])
    held_out = _planned(cli, *given)
    assert _planned(cli, *given, "--subset", "2") == held_out[5:10]
    assert _planned(cli, *given, "--limit", "3", "--offset", "4") == held_out[4:7]
    assert _planned(cli, *given, "--tasks", f"{held_out[1]},{held_out[0]}") == held_out[:2]


def test_a_split_without_a_file_is_printed(cli):
    code, out, err = cli("split", "starter")
    assert code == 0 and err == "" and json.loads(out)["seed"] == 42


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("split", "startr"), "Did you mean starter"),
        (("split", "starter", "--train-fraction", "1.5"), "not between 0 and 1"),
        (("split", "starter", "--out", "no/folder/s.json"), "cannot be written"),
        (("run", "best-of-n", "--split", "seed:1", "--subset", "all", *DRY), "train"),
        (("run", "best-of-n", "--split", "seed:1", "--subset", "eval", "--part", "train", *DRY), "one half"),
        (("run", "best-of-n", "--input-shapes", "4x8", *DRY), "make their own inputs"),
        (("run", "best-of-n", "--evaluator", "theirs", *DRY), "kernelbench-full"),
        (("eval", "fast.py"), "--reference"),
        (("eval", "--kernelbench-run", "d", "--reference", "starter/plain_gelu"), "of its own"),
        (("eval", "--kernelbench-run", "nowhere"), "nowhere"),
        (("export", "nowhere", "out", "--to", "kernelbench"), "no run in nowhere"),
        (("export", "nowhere", "out", "--to", "zip"), "kernelbench"),
        (("tasks", "starter", "--audit", "--tasks", "plain_gelo"), "Did you mean plain_gelu"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(cli, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "") and message in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


# -- audit -------------------------------------------------------------------------------------------------------


def test_an_audit_reports_each_task_and_what_follows(cli, checkout):
    code, out, err = cli("tasks", "kernelbench/1", "--audit", "--tasks", "2,10", "--json")
    first, second = json.loads(out)
    assert code == 0 and (first["task_key"], second["task_key"]) == ("kernelbench/1/2", "kernelbench/1/10")
    assert first["is_fit"] and first["accepted_published"] == ["a copy of input 0"] and first["published_warnings"]
    assert "kernelbench/1/2: " in err
    code, out, _ = cli("tasks", "kernelbench/1", "--audit", "--limit", "1")
    assert code == 0 and "1 of 1 tasks are fit" in out


def test_a_run_warns_once_of_a_task_that_the_audit_knows_against(cli, fakes, checkout, monkeypatch, tmp_path):
    from assay.tasks import kernelbench

    found = {"hash": kernelbench.load_kernelbench(1).tasks[1].hash, "assay": ["unfit: zeros"], "kernelbench": ["too"]}
    (tmp_path / "audit.json").write_text(json.dumps({"kernelbench/1": {"default": {"tasks": {"2": found}}}}))
    monkeypatch.setattr(kernelbench, "AUDIT", tmp_path / "audit.json")
    arguments = ("run", "best-of-n", "--suite", "kernelbench/1", "-k", "2", "--device", "cpu")
    code, _, err = cli(*arguments, "--out", tmp_path / "run")
    assert code == 0
    assert err.count("warning: kernelbench/1/2: unfit: zeros") == 1
    assert err.count("warning:") == 2
    assert "unfit: zeros" in cli("tasks", "kernelbench/1")[1]


# -- a module of one's own ---------------------------------------------------------------------------------------


def test_a_module_of_ones_own_is_a_reference_with_shapes_in_its_identity(cli, block):
    arguments = ("eval", "fast.py", "--reference", "block.py:Block", "--input-shapes", "128x32", "--device", "cpu")
    code, out, err = cli(*arguments, "--json")
    document = json.loads(out)
    assert code == 0, err
    assert document["status"] == "correct" and document["evaluator"] == "assay"
    assert document["task"] == f"files/{block.name}/block.Block@128x32"
    code, out, _ = cli(*arguments, "--evaluator", "kernelbench", "--json")
    document = json.loads(out)
    assert code == 0 and document["evaluator"] == "kernelbench-fast"
    assert document["verdict"] is None and document["speedup"]["pairs"] == 5


def test_a_file_with_one_module_and_a_maker_needs_neither_class_nor_shapes(cli, block):
    (block / "made.py").write_text(f"{BLOCK}\n\ndef example_inputs():\n    return torch.randn(8, 32)\n")
    assert _planned(cli, "--suite", "made.py") == ["made.Block"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--suite", "block.py"), "--input-shapes"),
        (("--suite", "block.py", "--input-shapes", "4y8"), "not understood"),
        (("--suite", "block.py", "--input-shapes", "4x8", "--scale", "small"), "nothing to scale"),
        (("--suite", ".", "--input-shapes", "4x8"), "for one module"),
        (("--suite", "block.py:Blok", "--input-shapes", "4x8"), "It has Block"),
    ],
)
def test_a_module_that_cannot_be_taken_says_what_to_do(cli, block, arguments, message):
    code, _, err = cli("run", "best-of-n", *arguments, *DRY)
    assert code == 2 and message in err


def test_a_run_on_a_module_of_ones_own_goes_from_samples_to_tables(cli, block):
    (block / "script.json").write_text(json.dumps({"completions": {"*": [ONCE, "return x"]}}))
    arguments = ("run", "best-of-n", "--suite", "block.py:Block", "--input-shapes", "128x32", "-k", "6")
    run = block / "run"
    code, out, err = cli(
        *arguments, "--model", "scripted:script.json", "--device", "cpu", *QUICK, "--out", run, "--json"
    )
    assert code == 0, err
    document = json.loads(out)
    (line,) = document["tasks"]
    assert line["task"] == f"files/{block.name}/block.Block@128x32" and line["samples"] == 6
    assert 1 <= line["correct"] < 6  # the wrong answer is told from the right one
    config = json.loads((run / "config.json").read_text())
    assert config["input_shapes"] == "128x32" and config["evaluator"]["rule"] == "assay"


def test_a_run_by_the_published_rule_has_ratios_and_no_verdicts(cli, block):
    (block / "script.json").write_text(json.dumps({"completions": {"*": [ONCE]}}))
    arguments = ("run", "best-of-n", "--suite", "block.py:Block", "--input-shapes", "128x32", "-k", "2")
    more = ("--model", "scripted:script.json", "--device", "cpu", "--evaluator", "kernelbench", "--out", block / "run")
    code, out, err = cli(*arguments, *more, "--json")
    (line,) = json.loads(out)["tasks"]
    assert code == 0, err
    assert line["correct"] == 2 and line["picked"]["verdict"] is None and line["picked"]["ratio"] > 0
    assert json.loads((block / "run" / "config.json").read_text())["evaluator"]["rule"] == "kernelbench-fast"
    code, out, _ = cli("resume", block / "run")
    assert code == 0 and "None" not in out


# -- KernelBench's run directories -------------------------------------------------------------------------------


def test_a_run_exported_to_kernelbench_is_read_back_and_judged_again(cli, fakes, checkout, tmp_path, monkeypatch):
    run, out_dir = tmp_path / "run", tmp_path / "theirs"
    cli("run", "best-of-n", "--suite", "kernelbench/1", "-k", "6", "--device", "cpu", "--out", run)
    code, out, err = cli("export", run, "--to", "kernelbench", out_dir, "--json")
    assert code == 0 and json.loads(out)["samples"] == 18, err
    results = json.loads((out_dir / "eval_results.json").read_text())
    assert list(results) == ["1", "2", "10"] and all(len(entries) == 6 for entries in results.values())
    entries = [entry for listed in results.values() for entry in listed]
    keys = {"sample_id", "compiled", "correctness", "metadata", "runtime", "runtime_stats"}
    assert all(keys <= set(entry) for entry in entries)
    assert all((entry["runtime"] > 0) == entry["correctness"] for entry in entries)
    kernels = len(list(out_dir.glob("level_1_problem_*_sample_*_kernel.py")))
    assert kernels == sum("compilation_error" not in entry["metadata"] for entry in entries)

    monkeypatch.setattr(build, "load_evaluator", lambda config: fakes.FakeEvaluator())
    code, out, err = cli("eval", "--kernelbench-run", out_dir, "--device", "cpu", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert len(document["samples"]) == kernels and document["counts"]["correct_theirs_only"] == 0
    assert document["counts"]["correct_theirs"] == document["counts"]["correct_ours"] > 0
    for one in document["samples"]:
        if one["theirs"]["correctness"]:
            assert one["theirs"]["ratio"] == pytest.approx(one["ours"]["reference_ms"] / one["ours"]["candidate_ms"])
    code, out, _ = cli("eval", "--kernelbench-run", out_dir, "--device", "cpu")
    assert code == 0 and "correct by its results" in out and "ratio" in out

    code, _, err = cli("export", run, "--to", "kernelbench", out_dir)
    assert code == 2 and "not an empty directory" in err


def test_a_run_of_another_suite_has_no_kernelbench_layout(cli, fakes, tmp_path):
    cli("run", "best-of-n", "--tasks", "plain_gelu", "-k", "1", "--device", "cpu", "--out", tmp_path / "run")
    code, _, err = cli("export", tmp_path / "run", "--to", "kernelbench", tmp_path / "out")
    assert code == 2 and "is of starter" in err and not (tmp_path / "out").exists()


def test_a_kernelbench_run_is_judged_by_the_real_evaluator(cli, checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    theirs = tmp_path / "generations"
    theirs.mkdir()
    head = PROBLEM.partition("def get_inputs")[0].replace("Model(", "ModelNew(")
    (theirs / "level_1_problem_2_sample_0_kernel.py").write_text(head)
    (theirs / "level_1_problem_2_sample_1_kernel.py").write_text(head.replace("torch.relu(x)", "x"))
    entry = {"compiled": True, "correctness": True, "metadata": {}, "runtime": 0.5, "runtime_stats": {}}
    listed = [{**entry, "sample_id": number} for number in (0, 1)]
    (theirs / "eval_results.json").write_text(json.dumps({"2": listed}))
    code, out, err = cli("eval", "--kernelbench-run", theirs, "--device", "cpu", "--json")
    document = json.loads(out)
    assert code == 0, err
    assert [one["ours"]["status"] for one in document["samples"]] == ["correct", "wrong_output"]
    assert document["counts"]["correct_theirs_only"] == 1
    code, out, err = cli("eval", "--kernelbench-run", theirs, "--device", "cpu", "--evaluator", "kernelbench", "--json")
    assert [one["ours"]["status"] for one in json.loads(out)["samples"]] == ["correct", "correct"]


@pytest.mark.parametrize("command", ["split", "export", "tasks", "eval"])
def test_every_command_about_tasks_explains_itself(cli, command):
    code, out, _ = cli(command, "--help")
    assert code == 0 and "--json" in out
