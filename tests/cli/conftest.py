import importlib
from pathlib import Path

import pytest

from assay.cli.main import main
from assay.core.records import Candidate
from assay.runs import build, lifecycle

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(capsys):
    """Runs a command line in this process: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def fakes(monkeypatch):
    """The fakes in place of model and judge."""
    import fakes

    monkeypatch.setattr(lifecycle, "load_policy", lambda config, progress=None: fakes.FakePolicy())
    monkeypatch.setattr(lifecycle, "load_evaluator", lambda config: fakes.FakeEvaluator())
    monkeypatch.setattr(build, "extract", fakes.extract)
    monkeypatch.setattr(build, "reference_copy", fakes.control)
    return fakes


@pytest.fixture
def tiny(monkeypatch, tmp_path_factory):
    """A tiny model with random weights; a fake judge for programs that are made from its texts."""
    import fakes

    monkeypatch.syspath_prepend(str(ROOT / "tests" / "conformance"))
    tiny_models = importlib.import_module("tiny_models")

    monkeypatch.setattr(tiny_models, "CONTEXT", 8192)  # real prompts are longer than those of the other tests
    folder = tiny_models.save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")
    programs = fakes.BODIES[1:]
    monkeypatch.setattr(
        build, "extract", lambda text, task, prompt: Candidate(source=programs[sum(text.encode()) % len(programs)])
    )
    monkeypatch.setattr(build, "reference_copy", fakes.control)
    monkeypatch.setattr(lifecycle, "load_evaluator", lambda config: fakes.FakeEvaluator())
    return f"local:{folder}"
