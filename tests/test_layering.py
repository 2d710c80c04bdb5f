"""The layers of docs/architecture.md, held against the import graph: imports point down, and never in a circle."""

import ast
from pathlib import Path

import assay

ROOT = Path(assay.__file__).parent
LAYER = {
    "core": 0,
    "tasks": 1,
    "prompting": 1,
    "learning": 1,
    "stats": 1,
    "evaluator": 2,
    "policies": 2,
    "selection": 2,
    "strategies": 2,
    "runs": 3,
    "report": 4,
    "view": 5,
    "cli": 6,
}
RUNNER_MODULES = ("runner", "zygote", "sandbox", "channel", "bundles", "trees", "spin", "undisturbed")
RUNNER_SIDE = {f"evaluator.{name}" for name in RUNNER_MODULES}
JUDGE_SIDE_PACKAGES = {"tasks", "stats", "policies", "runs", "cli", "report", "selection", "strategies", "prompting"}


def _modules() -> dict[str, set[str]]:
    """Dotted module name (without `assay.`) -> the assay modules that it imports."""
    graph: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        relative = path.relative_to(ROOT)
        if relative.parts[:2] == ("tasks", "starter") or len(relative.parts) == 1:
            continue
        name = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("assay."):
                target = node.module.removeprefix("assay.")
                for alias in node.names:
                    submodule = ROOT.joinpath(*target.split("."), f"{alias.name}.py")
                    graph[name].add(f"{target}.{alias.name}" if submodule.exists() else target)
            elif isinstance(node, ast.Import):
                graph[name] |= {a.name.removeprefix("assay.") for a in node.names if a.name.startswith("assay.")}
    return graph


def _package(module: str) -> str:
    return module.split(".")[0]


def test_every_import_points_to_a_lower_layer_or_the_own_package():
    wrong = [
        f"{module} imports {target}"
        for module, targets in _modules().items()
        for target in targets
        if _package(module) != _package(target) and LAYER[_package(target)] >= LAYER[_package(module)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles():
    graph = _modules()
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join((*path[path.index(module) :], module))
        if module not in finished:
            for target in graph.get(module, ()):
                visit(target, (*path, module))
            finished.add(module)

    for module in graph:
        visit(module, ())


def test_the_core_never_imports_torch():
    for path in (ROOT / "core").glob("*.py"):
        assert "import torch" not in path.read_text()


def test_the_runner_side_imports_nothing_of_the_judge():
    graph = _modules()
    assert set(graph) >= RUNNER_SIDE, "a runner-side module was renamed: update RUNNER_SIDE"
    for module in RUNNER_SIDE:
        for target in graph[module]:
            is_judge_side = target.startswith("evaluator.") and target not in RUNNER_SIDE
            assert not is_judge_side and _package(target) not in JUDGE_SIDE_PACKAGES, f"{module} imports {target}"
