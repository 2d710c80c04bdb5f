from pathlib import Path

import gguf
import huggingface_hub.constants
import pytest

from assay.core.errors import UsageError
from assay.policies.weights import _parsed_once, load_weights, locate


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/does/not/exist", "does not exist"),
        ("./neither", "does not exist"),
        ("word", "does not exist"),
        ("nobody/no-such-model", "the hub did not give it"),
    ],
)
def test_weights_that_are_not_there_are_a_usage_error_with_a_remedy(place: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as failure:
        locate(f"local:{place}")
    assert "give a folder" in str(failure.value)


def test_a_name_without_a_scheme_lists_the_registry() -> None:
    with pytest.raises(UsageError, match="smollm2-135m"):
        locate("llama")


def test_a_file_that_is_no_model_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UsageError, match="is not a model"):
        locate(f"local:{tmp_path / 'notes.txt'}")


def test_a_folder_without_safetensors_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UsageError, match=r"no config.json with \*.safetensors"):
        load_weights(f"local:{tmp_path}")


def test_a_folder_of_rubbish_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_family"}')
    (tmp_path / "model.safetensors").write_bytes(b"rubbish")
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_weights(f"local:{tmp_path}")


def test_a_broken_gguf_file_is_a_usage_error_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(40))
    with pytest.raises(UsageError, match="cannot be loaded"):
        load_weights(f"local:{tmp_path / 'broken.gguf'}")
    assert list((tmp_path / "cache" / "unpacked").iterdir()) == []


def test_a_cuda_device_that_is_not_there_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UsageError, match="--device cpu"):
        load_weights("local:anything", device="cuda:0")


def test_unpacking_parses_a_gguf_file_once(tmp_path: Path) -> None:
    path = str(tmp_path / "small.gguf")
    writer = gguf.GGUFWriter(path, "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with _parsed_once():
        assert gguf.GGUFReader(path) is gguf.GGUFReader(path)
    assert gguf.GGUFReader(path) is not gguf.GGUFReader(path)
