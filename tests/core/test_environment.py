import os

import pytest

from assay.core.environment import HIDDEN, adopt_env_file, read_env_file, redacted, variable
from assay.core.errors import UsageError

KEY = "sk-not-a-real-key-1234567890"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "TINKER_API_KEY", "TINKER_BASE_URL"):
        # Set first, so that whatever a test's subject puts there is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_assignments_are_read_with_and_without_quotes_export_and_comments(tmp_path):
    (tmp_path / ".env").write_text(
        "# keys\n\nOPENAI_API_KEY=sk-1 # mine\nexport HF_TOKEN = 'hf # 2'\nA=\"b=c\"  # quoted\nempty=\nno assignment\n"
        "1X=3\n"
    )
    assert read_env_file(tmp_path / ".env") == {"OPENAI_API_KEY": "sk-1", "HF_TOKEN": "hf # 2", "A": "b=c", "empty": ""}


def test_only_known_names_are_taken_and_the_environment_wins(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "from-the-environment")
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\nHF_TOKEN=from-the-file\nPATH=/evil\nLD_PRELOAD=/evil.so\n")
    before = os.environ["PATH"]
    assert adopt_env_file(tmp_path) == ("OPENAI_API_KEY",)
    assert (variable("OPENAI_API_KEY"), variable("HF_TOKEN")) == (KEY, "from-the-environment")
    assert os.environ["PATH"] == before and "LD_PRELOAD" not in os.environ


def test_no_file_takes_nothing(tmp_path):
    assert adopt_env_file(tmp_path) == ()


def test_a_file_that_is_no_text_is_a_usage_error(tmp_path):
    (tmp_path / ".env").write_bytes(b"OPENAI_API_KEY=\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        adopt_env_file(tmp_path)


def test_an_empty_variable_is_not_set(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert variable("OPENAI_API_KEY") is None


def test_keys_are_hidden_and_placeholders_are_not(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", "x")
    assert redacted(f"key {KEY} of x") == f"key {HIDDEN} of x"
