from pathlib import Path

import pytest
from tiny_models import save_tiny


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder of safetensors for each model family."""
    root = tmp_path_factory.mktemp("tiny_models")
    return {family: save_tiny(root / family, family) for family in ("llama", "qwen2", "qwen3", "mistral")}
