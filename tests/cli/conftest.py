import pytest

from assay.cli.main import main
from assay.runs import build, lifecycle


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
