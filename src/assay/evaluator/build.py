"""Compiling a candidate's extensions ahead of its evaluation, in a sandbox, without the device's timing lease.

A candidate that uses `torch.utils.cpp_extension` is executed once in a builder: a runner that may start compilers, sees
no device, and may write to the candidate's own build directory. Builds are kept by the hash of the candidate and of the
toolchain, so the same candidate is compiled once; nothing is shared between candidates, since one could poison what
another loads. Triton compiles when a kernel is first called: its cache lies in the same directory, writable until the
first runner of the candidate has been locked down.
"""

import functools
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from assay.core.places import cache_root
from assay.core.records import Candidate, content_hash
from assay.evaluator.processes import ProgramFailure, Runner

_DONE = "done"
_ERROR = "error.txt"
_COMPILER_SAYS = "Error building extension"


@dataclass(frozen=True)
class Build:
    """A candidate's build directory. `is_sealed`: no further runner may write to it."""

    directory: Path
    is_sealed: bool

    @property
    def environment(self) -> dict[str, str]:
        """Where torch's and Triton's own caches are to be found."""
        return {
            "TORCH_EXTENSIONS_DIR": str(self.directory / "extensions"),
            "TRITON_CACHE_DIR": str(self.directory / "triton"),
        }

    def seal(self) -> None:
        """The kernels have been compiled: later runners only read."""
        (self.directory / _DONE).touch()


class Builder:
    """Builds candidates, up to `workers` at a time. `fork` gives a runner without a device.

    architecture: the compute capability to compile CUDA for, since a builder sees no GPU to ask.
    """

    def __init__(
        self, fork: Callable[[], Runner], *, workers: int, timeout_s: float, architecture: tuple[int, int] | None
    ) -> None:
        self._fork = fork
        self._architecture = {} if architecture is None else {"TORCH_CUDA_ARCH_LIST": "{}.{}".format(*architecture)}
        self._timeout_s = timeout_s
        self._slots = threading.Semaphore(workers)

    def prepare(self, candidate: Candidate) -> Build | None:
        """The build of `candidate`, made now if need be; None if it compiles nothing through torch or Triton.

        Raises ProgramFailure with stage "build" if it does not compile (also where that is already known), or
        RunnerFailure.
        """
        has_extension = "cpp_extension" in candidate.source
        if not has_extension and "triton" not in candidate.source:
            return None
        directory = cache_root() / "builds" / content_hash(candidate.hash, _toolchain(), *self._architecture.values())
        if (directory / _ERROR).exists():
            raise ProgramFailure("build", "BuildError", (directory / _ERROR).read_text())
        build = Build(directory, is_sealed=(directory / _DONE).exists())
        if build.is_sealed:
            return build
        if has_extension:  # what an interrupted build has left holds torch's lock
            shutil.rmtree(directory / "extensions", ignore_errors=True)
        (directory / "extensions").mkdir(parents=True, exist_ok=True)
        (directory / "triton").mkdir(exist_ok=True)
        if has_extension:
            with self._slots:
                self._compile(candidate, build)
        return Build(directory, is_sealed=has_extension and "triton" not in candidate.source)

    def _compile(self, candidate: Candidate, build: Build) -> None:
        runner = self._fork()
        try:
            runner.enter_sandbox(writable=[build.directory], environment=build.environment | self._architecture)
            reply = runner.ask("build", {"source": candidate.source}, timeout_s=self._timeout_s)
        finally:
            runner.kill()
        if reply.error is not None:
            text = f"{reply.error['kind']}: {reply.error['message']}"
            shutil.rmtree(build.directory / "extensions", ignore_errors=True)
            if _COMPILER_SAYS in text:  # a tool that is missing today may be there tomorrow
                (build.directory / _ERROR).write_text(text)
            raise ProgramFailure("build", "BuildError", text)
        if "triton" not in candidate.source:
            build.seal()


@functools.cache
def _toolchain() -> str:
    """What a compiled extension depends on besides its source."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or ""
    version = ""
    if compiler:
        version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    tools = [shutil.which("ninja"), shutil.which("nvcc"), os.environ.get("CUDA_HOME")]
    return f"{sys.version} {torch.__version__} {torch.version.cuda} {version.splitlines()[:1]} {tools}"
