"""Every recipe is a run: all of it resolves, and the small ones really run."""

import json
import tomllib
from pathlib import Path

import pytest

from assay.core.places import cache_root
from assay.policies.models import REGISTRY
from assay.tasks.kernelbench import CHECKOUT_VARIABLE

RECIPES = Path(__file__).parents[2] / "recipes"
FILES = sorted(RECIPES.rglob("*.toml"))
PUBLISHED = sorted((RECIPES / "published").glob("*.toml"))
OURS = sorted((RECIPES / "ours").glob("*.toml"))
SMALL = sorted((RECIPES / "small").glob("*.toml"))
SMALLEST = "smollm2-135m"
SECONDS_A_SAMPLE = 3.0  # drawn and evaluated, on two CPU cores with the embedded model
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


def test_recipes_lie_in_three_folders_and_each_has_one_small_twin():
    assert {path.parent.name for path in FILES} == {"published", "ours", "small"}
    assert sorted(path.name for path in [*PUBLISHED, *OURS]) == [path.name for path in SMALL]


@pytest.mark.parametrize("path", [*PUBLISHED, *OURS], ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_small_twin_has_the_same_strategy_and_a_cpu_ends_it_within_minutes(cli, kernelbench, path):
    (large, *_), small = resolved(cli, path), resolved(cli, RECIPES / "small" / path.name)
    kinds = ("isolate", "teacher", "advantage", "reward.type", "reward.shuffled")
    for plan in small:
        assert plan["strategy"] == large["strategy"] and plan["model"] == "qwen2.5-coder-0.5b"
        assert plan["device"] == "cpu"
        assert [setting(plan, key) for key in kinds] == [setting(large, key) for key in kinds]
    assert SECONDS_A_SAMPLE * sum(plan["samples"] for plan in small) <= 180


def setting(plan: dict, key: str):
    found = plan["config"]["strategy"]
    for name in key.split("."):
        found = (found or {}).get(name)
    return found


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_recipe_has_the_published_model_unless_another_is_named(cli, kernelbench, path):
    assert resolved(cli, path)[0]["model"] == "tinker:openai/gpt-oss-120b"
    assert resolved(cli, path, "--model", SMALLEST)[0]["model"] == SMALLEST


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


def cached_model() -> str | None:
    """The smallest model where its weights are here already; nothing is fetched for a test."""
    model = REGISTRY[SMALLEST]
    return SMALLEST if (cache_root() / "models" / model.name / model.filename).exists() else None


def fewest(strategy: str) -> list[str]:
    """Options that make a run as short as its strategy allows, with two rounds wherever there can be two."""
    short = {
        "best-of-n": ["-k", "4"],
        "refine": ["-k", "4", "--turns", "2"],
        "rlvr": ["-k", "4", "--steps", "1", "--batch", "1", "--eval-k", "2"],
    }
    return ["--limit", "1", *short.get(strategy, ["-k", "4", "--steps", "1"])]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", SMALL, ids=lambda path: path.stem)
def test_a_small_recipe_runs_and_its_page_has_what_its_strategy_promises(cli, tmp_path, path):
    model = cached_model()
    if model is None:
        pytest.skip(f"the weights of {SMALLEST} are not in the cache: assay doctor --model {SMALLEST} fetches them")
    values = tomllib.loads(path.read_text())
    strategy, out = values["strategy"]["type"], tmp_path / "run"
    seed = ["--seed", str(values["seeds"][0])] if "seeds" in values else []
    short = ["--model", model, *fewest(strategy), *seed, "--set", "sampling.max_tokens=32"]
    code, text, err = cli("run", strategy, "--recipe", path, *short, "--out", out, "--json")
    assert code == 0, err
    document = json.loads(text)
    promises(strategy, document)
    code, page, err = cli("resume", out)  # of a complete run: its page
    assert code == 0, err
    sections = ["By task", "By selector", "Spent:", "was idle for"]
    sections += ["Updates"] if document["adaptation"] else ["Turns"] if strategy == "refine" else []
    assert [section for section in sections if section not in page] == []


def promises(strategy: str, document: dict) -> None:
    """What the document of a run holds, by its strategy."""
    spent, notes = document["spent"], (document["adaptation"] or {"steps": []})["steps"]
    assert document["in_words"] and document["selectors"] and document["devices"]["wall_s"] > 0
    assert all(line["control"] is not None for line in document["tasks"])
    assert spent["rollouts"] == {"best-of-n": 4, "rlvr": 2 + 4 + 2}.get(strategy, 2 * 4)
    assert spent["sampling_s"] > 0 and spent["evaluation_s"] > 0
    assert spent["updates"] == sum(note["is_updated"] for note in notes)
    rounds = {"best-of-n": 0, "refine": 0, "rlvr": 3}.get(strategy, 2)  # that weights were learned from, or measured
    assert len({note["round"] for note in notes}) == rounds
    if strategy == "sdpo":
        assert spent["teacher_tokens"] > 0 and notes[0]["teacher_gap"] is not None
    assert (document["refinement"] is not None) == (strategy == "refine")
