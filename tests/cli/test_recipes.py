"""Every recipe is a run: it loads, and all of it resolves."""

import json
import tomllib
from pathlib import Path

import pytest

from assay.tasks.kernelbench import CHECKOUT_VARIABLE

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.rglob("*.toml"))
PUBLISHED = sorted((RECIPES / "published").glob("*.toml"))
EVAL = [str(n) for n in (4, 5, 12, 14, 15, 18, 28, 29, 30, 32, 36, 55, 65, 70, 76, 82, 87, 89, 95, 98)]
TASK = (
    "import torch\n\n\nclass Model(torch.nn.Module):\n    def forward(self, x):\n        return x\n\n\n"
    "def get_inputs():\n    return [torch.rand(4)]\n\n\ndef get_init_inputs():\n    return []\n"
)


@pytest.fixture
def kernelbench(tmp_path, monkeypatch):
    """A level of a hundred tasks."""
    folder = tmp_path / "KernelBench" / "level1"
    folder.mkdir(parents=True)
    for number in range(1, 101):
        (folder / f"{number}_task.py").write_text(TASK)
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(tmp_path))


def resolved(cli, path: Path, *more: str) -> list[dict]:
    strategy = tomllib.loads(path.read_text())["strategy"]["type"]
    code, out, err = cli("run", strategy, "--recipe", path, "--device", "cpu", "--dry-run", "--json", *more)
    assert code == 0, err
    document = json.loads(out)
    return document.get("runs", [document])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_every_recipe_resolves(cli, kernelbench, path):
    plans = resolved(cli, path)
    values = tomllib.loads(path.read_text())
    assert len(plans) == len(values.get("seeds", [0]))
    assert [plan["config"]["seed"] for plan in plans] == values.get("seeds", [values.get("seed", 0)])
    named = [line for line in path.read_text().split("\n") if line.startswith("#   assay run")]
    assert f"recipes/{path.relative_to(RECIPES)}" in named[0] and f"run {values['strategy']['type']} " in named[0]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_every_published_recipe_has_a_small_twin_of_the_same_strategy_for_a_cpu(cli, kernelbench, path):
    twin = RECIPES / "small" / path.name
    (large, *_), (small, *_) = resolved(cli, path), resolved(cli, twin)
    assert small["strategy"] == large["strategy"] and small["model"] == "qwen2.5-coder-0.5b"
    assert small["samples"] <= 40 and small["device"] == "cpu"
    assert large["model"] == "tinker:openai/gpt-oss-120b"
    assert resolved(cli, path, "--model", "smollm2-135m")[0]["model"] == "smollm2-135m"


def test_the_published_subsets_are_the_published_tasks(cli, kernelbench):
    def ids(name: str) -> list[str]:
        return [key.rpartition("/")[2] for key in resolved(cli, RECIPES / "published" / f"{name}.toml")[0]["tasks"]]

    assert ids("best-of-n-64") == EVAL
    assert ids("ttt-three-seeds") == EVAL[:5] and ids("ttt-subset-2") == EVAL[5:10]
    assert ids("transfer-to-subset-2") == EVAL[5:10]
    (rlvr,) = resolved(cli, RECIPES / "published" / "rlvr.toml")
    assert len(rlvr["tasks"]) == 100 and rlvr["config"]["strategy"]["eval_ids"] == EVAL
    assert (rlvr["rounds"], rlvr["samples"]) == (45, 40 * 64 + 5 * 20 * 8)


def test_equal_budgets_of_the_published_comparison(cli, kernelbench):
    (best_of_n, *_) = resolved(cli, RECIPES / "published" / "best-of-n-subset-1.toml")
    (ttt, *_) = resolved(cli, RECIPES / "published" / "ttt-three-seeds.toml", "--budget", "rollouts=320")
    assert best_of_n["samples"] == ttt["samples"] == 320
