"""`manifest.json`: what a run was made with - versions, machine, seed, and every process that worked on it."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import assay
from assay.core.environment import redacted

_PACKAGES = ("torch", "transformers", "peft", "numpy", "scipy", "pydantic", "triton")


def now() -> str:
    """The time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def start_session(directory: Path, seed: int, policy: str, devices: dict[str, str], argv: Sequence[str]) -> None:
    """Notes that a process began to work on the run. `devices` says what samples and what evaluates, and on what."""
    path = directory / "manifest.json"
    manifest = _read(path) or {"seed": seed, "policy": policy, "sessions": []}
    session = {
        "argv": [redacted(one) for one in argv],
        "started": now(),
        "ended": None,
        "outcome": None,
        "devices": devices,
    }
    manifest["sessions"].append(session | {"versions": versions(), "host": host_facts(), "git": source_commit()})
    _write(path, manifest)


def _read(path: Path) -> dict[str, Any] | None:
    """The manifest; None if there is none, or none that can be read: it is a note, and no run ends for it."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def end_session(directory: Path, outcome: str) -> None:
    """Notes how the process ended: `done`, `interrupted` or `failed`. A killed process leaves None behind."""
    path = directory / "manifest.json"
    manifest = _read(path) or {"sessions": [{}]}
    manifest["sessions"][-1] |= {"ended": now(), "outcome": outcome}
    _write(path, manifest)


def versions() -> dict[str, str]:
    """Assay, Python, and the packages that results may depend on, where they are installed; nothing is imported."""
    found = {"assay": assay.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def host_facts() -> dict[str, Any]:
    """What this machine is; None for what it does not tell."""
    return {
        "platform": platform.platform(),
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load_average": os.getloadavg()[0],
    }


def source_commit() -> dict[str, Any] | None:
    """The commit that Assay itself runs from, and whether files differ from it; None if it is no git checkout."""
    package = Path(assay.__file__).parent
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return {"commit": _git(package, "rev-parse", "HEAD"), "changed": bool(_git(package, "status", "--porcelain", "."))}


def _git(directory: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_name() -> str | None:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _memory_gib() -> float | None:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)


def _write(path: Path, manifest: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(manifest, indent=2) + "\n")
    os.replace(part, path)
