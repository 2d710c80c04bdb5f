"""What this machine has for Assay, and what to install for what is missing."""

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from assay.core.places import cache_root
from assay.core.records import Record
from assay.policies.models import REGISTRY

FREE_GB_WANTED = 5.0  # weights of the default model, packed and unpacked, with room for runs
PROBE_TIMEOUT_S = 30.0


class Finding(Record):
    """One thing that was looked for. advice: what to do, where something can be done."""

    what: str
    state: Literal["good", "limited", "missing"]
    found: str
    advice: str = ""
    is_required: bool = False


class KnownModel(Record):
    """A registered model. at_hand: `unpacked` (starts in seconds), `downloaded`, or None."""

    name: str
    description: str
    bytes: int
    license: str
    sha256: str
    at_hand: Literal["unpacked", "downloaded"] | None


def known_models() -> tuple[KnownModel, ...]:
    """The registry, and what of it is in the cache; nothing is hashed or loaded."""
    root = cache_root()
    found = []
    for model in REGISTRY.values():
        is_unpacked = (root / "unpacked" / model.sha256[:16] / "config.json").exists()
        file = root / "models" / model.name / model.filename
        is_downloaded = file.exists() and file.stat().st_size == model.bytes
        at_hand = "unpacked" if is_unpacked else "downloaded" if is_downloaded else None
        facts = {name: getattr(model, name) for name in ("name", "description", "bytes", "license", "sha256")}
        found.append(KnownModel(**facts, at_hand=at_hand))
    return tuple(found)


def findings() -> tuple[Finding, ...]:
    """Everything that is looked for, in the order in which it is needed."""
    looks: tuple[Callable[[], Finding], ...] = (_python, _torch, _devices, _cores, _compiler, _nvcc, _sandbox)
    return tuple(look() for look in (*looks, _models, _disk, _pip))


def _python() -> Finding:
    is_new = sys.version_info >= (3, 11)
    advice = "" if is_new else "Assay needs Python 3.11 or newer."
    return Finding(
        what="python",
        state="good" if is_new else "missing",
        found=f"{platform.python_version()} ({sys.executable})",
        advice=advice,
        is_required=True,
    )


def _torch() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding(
            what="torch", state="missing", found="not installed", advice="pip install torch", is_required=True
        )
    import torch

    return Finding(what="torch", state="good", found=torch.__version__, is_required=True)


def _devices() -> Finding:
    if importlib.util.find_spec("torch") is None:
        return Finding(what="devices", state="missing", found="unknown without torch")
    import torch

    if torch.cuda.is_available():
        names = [f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count())]
        return Finding(what="devices", state="good", found=", ".join(names))
    if shutil.which("nvidia-smi"):
        advice = "There is an NVIDIA driver, but this torch does not use it: install a CUDA build of torch."
        return Finding(what="devices", state="limited", found="CPU only", advice=advice)
    return Finding(what="devices", state="good", found="CPU")


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    is_busy = load > 0.5 * cores
    advice = "Other work is running; timings will need more repetitions. Wait, or end it." if is_busy else ""
    found = f"{cores} cores, load {load:.1f}"
    return Finding(what="cpu", state="limited" if is_busy else "good", found=found, advice=advice)


def _compiler() -> Finding:
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if compiler is None:
        advice = "C++ candidates cannot be built: install g++ (apt install g++) and ninja (pip install ninja)."
        return Finding(what="C++ compiler", state="limited", found="none", advice=advice)
    if shutil.which("ninja") is None:
        advice = "torch builds extensions with ninja: pip install ninja"
        return Finding(what="C++ compiler", state="limited", found=f"{compiler}, no ninja", advice=advice)
    return Finding(what="C++ compiler", state="good", found=_first_line(compiler, "--version") or compiler)


def _nvcc() -> Finding:
    nvcc = shutil.which("nvcc")
    if nvcc is not None:
        return Finding(what="CUDA compiler", state="good", found=nvcc)
    if shutil.which("nvidia-smi") is None:
        return Finding(what="CUDA compiler", state="good", found="none, and no NVIDIA device")
    advice = "CUDA candidates cannot be built (Triton ones can): install the CUDA toolkit."
    return Finding(what="CUDA compiler", state="limited", found="none", advice=advice)


def _sandbox() -> Finding:
    if importlib.util.find_spec("torch") is None or sys.platform != "linux":
        return Finding(what="sandbox", state="missing", found="needs Linux and torch", is_required=True)
    from assay.evaluator.doctor import ADVICE, missing_tiers, sandbox_tiers

    tiers = sandbox_tiers()
    missing = missing_tiers(tiers)
    advice = "; ".join(f"{name}: {ADVICE[name]}" for name in missing)
    return Finding(what="sandbox", state="limited" if missing else "good", found=", ".join(tiers), advice=advice)


def _models() -> Finding:
    there = [f"{model.name} ({model.at_hand})" for model in known_models() if model.at_hand]
    found = f"{', '.join(there) or 'none'} in {cache_root()}"
    advice = "" if there else "The first run fetches its model (491 MB for the default one)."
    return Finding(what="models", state="good" if there else "limited", found=found, advice=advice)


def _disk() -> Finding:
    place = cache_root()
    while not place.exists():
        place = place.parent
    free_gb = shutil.disk_usage(place).free / 1e9
    is_enough = free_gb >= FREE_GB_WANTED
    advice = "" if is_enough else f"Free some space, or name another place in ASSAY_CACHE ({FREE_GB_WANTED:.0f} GB do)."
    return Finding(
        what="disk", state="good" if is_enough else "limited", found=f"{free_gb:.0f} GB free at {place}", advice=advice
    )


def _pip() -> Finding:
    if importlib.util.find_spec("pip") is not None:
        return Finding(what="pip", state="good", found="here, for fetching models from the package index")
    advice = "Models can only be fetched from the hub: python -m ensurepip"
    return Finding(what="pip", state="limited", found="not installed", advice=advice)


def _first_line(command: str, *arguments: str) -> str | None:
    try:
        done = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return f"{Path(command).name}: {done.stdout.splitlines()[0]}" if done.stdout else None
