import ast
import json
import sqlite3

import pytest

MODULE = """import torch
import torch.nn as nn


class Scale(nn.Module):
    def forward(self, x):
        return x * 2


def get_inputs():
    return [torch.randn(4, 8)]
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path / "mine.py"


def optimize(cli, *more, k="12"):
    return cli("optimize", "mine.py:Scale", "-k", k, "--device", "cpu", "--run", "run", "--skip-compile", *more)


def test_the_best_verified_program_is_written_with_what_was_measured(cli, fakes, module, monkeypatch):
    monkeypatch.setattr(fakes, "BODIES", ("class ModelNew(Model): pass  # ratio=1.6", "no program"))
    code, out, err = optimize(cli)
    text = (module.parent / "best.py").read_text()
    assert code == 0 and "best.py is written" in out and "round 0" in err
    assert text.startswith("# A drop-in for Scale of mine.py:Scale")
    assert "over eager:         1.54x [1.51, 1.57] (99% interval" in text  # 1.6 at first look, measured afresh
    assert "over torch.compile: not measured" in text
    assert "assay eval best.py --reference mine.py:Scale --device cpu" in text
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert "ModelNew" in names and text.endswith("Scale = ModelNew\n")


def test_json_is_exactly_one_document(cli, fakes, module):
    code, out, _ = optimize(cli, "--json", "--out", "other.py")
    document = json.loads(out)
    assert code == 0 and document["file"] == "other.py" and document["compiled"] is None
    assert document["evaluation"]["verdict"] == "faster"
    assert document["candidate"] in (module.parent / "other.py").read_text()


def test_nothing_verified_is_exit_code_four_and_no_file(cli, fakes, module, monkeypatch):
    monkeypatch.setattr(fakes, "BODIES", ("class ModelNew(Model): pass  # ratio=1.005", "no program"))
    code, out, _ = optimize(cli)
    assert code == 4 and not (module.parent / "best.py").exists()
    assert "Nothing verified faster was found" in out


def test_a_program_that_does_not_hold_up_is_not_written(cli, fakes, module, monkeypatch):
    monkeypatch.setattr(fakes, "BODIES", ("class ModelNew(Model): pass  # ratio=1.032",))  # 1.029 when measured afresh
    code, out, _ = optimize(cli, "--json", k="2")
    assert code == 4 and json.loads(out)["file"] is None


def test_a_file_that_exists_is_kept_unless_forced_and_before_anything_runs(cli, fakes, module):
    best = module.parent / "best.py"
    best.write_text("precious")
    code, _, err = optimize(cli)
    assert code == 2 and "--force" in err and best.read_text() == "precious" and not (module.parent / "run").exists()
    assert optimize(cli, "--force")[0] == 0 and "ModelNew" in best.read_text()


def test_a_search_that_is_complete_is_not_made_again(cli, fakes, module):
    assert optimize(cli)[0] == 0
    first = (module.parent / "best.py").read_text()
    (module.parent / "best.py").unlink()
    code, _, err = optimize(cli)
    assert code == 0 and "nothing is searched again" in err and (module.parent / "best.py").read_text() == first
    module.write_text(MODULE.replace("x * 2", "x * 3"))
    code, _, err = optimize(cli, "--force")
    assert code == 2 and "something else" in err


def test_a_search_that_is_not_complete_says_how_to_go_on(cli, fakes, module):
    assert optimize(cli)[0] == 0
    with sqlite3.connect(module.parent / "run" / "run.sqlite") as connection:
        connection.execute("DELETE FROM meta WHERE key = 'finished_at'")
    connection.close()
    code, _, err = optimize(cli, "--force")
    assert code == 2 and "assay resume run" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.py:Scale", "--out", "mine.py", "--force"), "the module itself"),
        (("mine.py:Scale", "--out", "nowhere/best.py"), "folder that exists"),
        (("mine.py:Other",), "no class 'Other'"),
        (("nothing.py",), "nothing.py"),
        (("starter",), "name one file"),
        (("mine.py:Scale", "--set", "evaluator.rule=kernelbench-fast"), "gives no verdict"),
        (("mine.py:Scale", "--budget", "hours=3"), "hours"),
    ],
)
def test_a_users_mistake_is_exit_code_two_and_nothing_is_made(cli, module, arguments, message):
    code, out, err = cli("optimize", *arguments, "--device", "cpu")
    assert code == 2 and out == "" and message in err
    assert sorted(path.name for path in module.parent.iterdir()) == ["mine.py"] and module.read_text() == MODULE


def test_a_dry_run_says_what_it_would_cost_and_makes_nothing(cli, module):
    code, out, _ = optimize(cli, "--dry-run", "--json")
    assert code == 0 and json.loads(out)["samples"] == 12
    assert sorted(path.name for path in module.parent.iterdir()) == ["mine.py"]


def test_optimize_explains_itself(cli):
    code, out, _ = cli("optimize", "--help")
    assert code == 0 and "--budget" in out and "--force" in out and "--out" in out
