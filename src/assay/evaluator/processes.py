"""The judge's hold on the processes that it does not trust: starting, asking, freezing, watching and killing them."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.core.errors import EvaluatorError
from assay.evaluator import sandbox
from assay.evaluator.channel import Channel, ChannelClosed, ChannelTimeout, ProtocolViolation, pair

log = logging.getLogger(__name__)

_ZYGOTE_START_S = 120.0
_STOP_S = 0.5
# Whether glibc gives large temporaries back to the kernel at every call depends on the luck of a process's heap, and
# makes the same program slower by half or more (1.6x was seen). Told to keep them, all runners are alike.
_STEADY_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
_PASSED_ON = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_PATH",
    "CUDA_VISIBLE_DEVICES",
    "CC",
    "CXX",
)


@dataclass(frozen=True)
class Limits:
    """What one runner may use."""

    memory_bytes: int
    file_bytes: int
    processes: int


class RunnerFailure(Exception):
    """A runner ended, hung, broke a limit or broke the protocol: the candidate's failure, not ours.

    kind: "exited", "timeout", "memory", "processes" or "protocol".
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class ProgramFailure(Exception):
    """The program raised: `stage` is "build", "load" or "run"; `kind` the exception's name."""

    def __init__(self, stage: str, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.stage = stage
        self.kind = kind


@dataclass(frozen=True)
class Reply:
    """A runner's answer."""

    content: dict[str, Any]

    @property
    def error(self) -> dict[str, str] | None:
        """What the program raised, if it did."""
        error = self.content.get("error")
        if error is None:
            return None
        if not isinstance(error, dict):
            return {"kind": "unknown", "message": ""}
        return {"kind": str(error.get("kind"))[:100], "message": str(error.get("message"))[:6000]}


class Runner:
    """One runner process."""

    def __init__(self, zygote: "Zygote", pid: int, channel: Channel, scratch: Path, limits: Limits) -> None:
        self.pid = pid
        self.tiers: tuple[str, ...] = ()
        self.scratch = scratch
        self._zygote = zygote
        self._channel = channel
        self._limits = limits
        self._next_id = int.from_bytes(os.urandom(6), "big")
        self._is_frozen = False

    def enter_sandbox(
        self, readable: Sequence[Path] = (), writable: Sequence[Path] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        """From here on the runner may read a Python installation and `readable`, and write to its scratch and
        `writable`.
        """
        places = {"HOME": self.scratch, "TMPDIR": self.scratch, "CUDA_CACHE_PATH": self.scratch / "cuda"}
        request = {
            "readable": [str(path) for path in (*self._zygote.readable, *readable)],
            "writable": [str(path) for path in (self.scratch, *writable)],
            "environment": self._zygote.environment
            | {name: str(path) for name, path in places.items()}
            | dict(environment or {}),
        }
        reply = self.ask("enter_sandbox", request)
        if reply.error:
            raise EvaluatorError(f"a runner could not enter its sandbox: {json.dumps(reply.error)}")
        self.tiers = tuple(reply.content["sandbox"])

    def ask(
        self, op: str, request: dict[str, Any] | None = None, descriptors: Sequence[int] = (), timeout_s: float = 30.0
    ) -> Reply:
        """Sends one request and waits for its reply; raises RunnerFailure if there is none in order."""
        self._next_id += 1
        message = {"id": self._next_id, "op": op, **(request or {})}
        self.thaw()
        try:
            self._channel.send(message, descriptors)
            content, extra = self._channel.receive(timeout_s, tick=self._watch)
        except ChannelClosed:
            raise RunnerFailure("exited", self._how_it_ended()) from None
        except ChannelTimeout:
            raise RunnerFailure("timeout", f"no answer to `{op}` within {timeout_s:g} s") from None
        except ProtocolViolation as error:
            raise RunnerFailure("protocol", str(error)) from None
        for descriptor in extra:
            os.close(descriptor)
        if content.get("id") != self._next_id:
            raise RunnerFailure("protocol", f"an answer to `{op}` that was not asked for")
        return Reply(content)

    def freeze(self) -> None:
        """Stops every thread of the runner until the next request, and waits until they stand."""
        if not self._is_frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGSTOP)
            self._is_frozen = True
            deadline = time.monotonic() + _STOP_S
            while not self._stands_still() and time.monotonic() < deadline:
                time.sleep(0.0001)

    def thaw(self) -> None:
        """Lets the runner go on."""
        if self._is_frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
            self._is_frozen = False

    def has_children(self) -> bool:
        """Whether any process that the runner has started is alive."""
        return bool(descendants(self.pid))

    def filter_count(self) -> int:
        """The smallest number of seccomp filters on any thread of the runner, read from the kernel; 0 if unknown."""
        counts = []
        for status in _of_threads(self.pid, "status"):
            fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
            counts.append(int(fields.get("Seccomp_filters", 0)))
        return min(counts, default=0)

    def _stands_still(self) -> bool:
        """Whether all threads are stopped (or gone), by the kernel's word."""
        return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in _of_threads(self.pid, "stat"))

    def kill(self) -> None:
        """Ends the runner, all that it started, and its scratch directory."""
        children = descendants(self.pid)
        for pid in (self.pid, *children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._channel.close()
        self._zygote.forget(self)
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _watch(self) -> None:
        """The watchdog: called about every 50 ms while the judge waits."""
        children = descendants(self.pid)
        if len(children) > self._limits.processes:
            raise RunnerFailure("processes", f"{len(children)} processes; the limit is {self._limits.processes}")
        used = sum(_private_bytes(pid) for pid in (self.pid, *children))
        if used > self._limits.memory_bytes:
            raise RunnerFailure(
                "memory", f"{used >> 20} MB of memory; the limit is {self._limits.memory_bytes >> 20} MB"
            )
        if _bytes_under(self.scratch) > 4 * self._limits.file_bytes:
            raise RunnerFailure("memory", f"more than {4 * self._limits.file_bytes >> 20} MB of files")

    def _how_it_ended(self) -> str:
        code = self._zygote.exit_code(self.pid)
        if code is None:
            return "the process closed its connection"
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        return f"the process exited with code {code}"


class Zygote:
    """The warm process that runners are forked from, one a judge."""

    def __init__(self, *, threads: int, is_cuda: bool) -> None:
        self._lock = threading.Lock()  # one command at a time: runners are also forked in the background
        self._channel, theirs = pair()
        self._root = Path(tempfile.mkdtemp(prefix="assay-"))
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "PYTHONDONTWRITEBYTECODE": "1",
            **_STEADY_MALLOC,
        }
        self._environment = environment
        self.readable = sandbox.readable_paths()
        self._runners: set[Runner] = set()
        self._log = (self._root / "zygote.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "assay.evaluator.zygote", *(["--cuda"] if is_cuda else [])],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            cwd=self._root,
            start_new_session=True,
        )
        theirs.close()
        self._answer(_ZYGOTE_START_S)

    def fork(self, *, device_index: int | None, cpus: Sequence[int], threads: int, limits: Limits) -> Runner:
        """A fresh runner, pinned and initialised, with nothing loaded; without a device if `device_index` is None."""
        scratch = Path(tempfile.mkdtemp(prefix="run-", dir=self._root))
        ours, theirs = pair()
        options = {
            "device_index": device_index,
            "scratch": str(scratch),
            "cpus": list(cpus),
            "threads": threads,
            "memory_bytes": limits.memory_bytes,
            "file_bytes": limits.file_bytes,
        }
        with self._lock:
            self._channel.send({"op": "fork", "options": options}, [theirs.fileno()])
            theirs.close()
            answer = self._answer(30.0)
        runner = Runner(self, answer["pid"], ours, scratch, limits)
        self._runners.add(runner)
        try:
            reply = runner.ask("start", timeout_s=60.0)
        except RunnerFailure as failure:
            runner.kill()
            raise EvaluatorError(f"a runner could not start: {failure}") from failure
        if reply.error:
            runner.kill()
            raise EvaluatorError(f"a runner could not start: {json.dumps(reply.error)}")
        return runner

    def kill_runners(self) -> None:
        """Ends every runner at once; whoever waits for one of them is told that it has ended."""
        for runner in list(self._runners):
            with contextlib.suppress(ProcessLookupError):
                os.kill(runner.pid, signal.SIGKILL)

    @property
    def environment(self) -> dict[str, str]:
        """What every runner's environment starts from."""
        return self._environment

    def exit_code(self, pid: int) -> int | None:
        """The exit code of a runner that has ended (negative: the signal), or None."""
        for _ in range(20):
            with self._lock:
                self._channel.send({"op": "status", "pid": pid})
                status = self._answer(10.0)["status"]
            if status is not None:
                return status
            time.sleep(0.01)
        return None

    def forget(self, runner: Runner) -> None:
        """Called when a runner has been killed."""
        self._runners.discard(runner)

    def close(self) -> None:
        """Ends every runner and the zygote, and removes the scratch directories."""
        for runner in list(self._runners):
            runner.kill()
        self._channel.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
        shutil.rmtree(self._root, ignore_errors=True)

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        try:
            return self._channel.receive(timeout_s)[0]
        except (ChannelClosed, ChannelTimeout, ProtocolViolation) as error:
            self._log.flush()
            text = (self._root / "zygote.log").read_text(errors="replace")[-2000:]
            raise EvaluatorError(f"the zygote does not answer ({error or type(error).__name__}): {text}") from error


def descendants(pid: int) -> list[int]:
    """Process ids of all descendants of `pid`, read from the kernel's lists of children."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for children in _of_threads(waiting.pop(), "children"):
            pids = [int(word) for word in children.split()]
            found += pids
            waiting += pids
    return found


def _of_threads(pid: int, name: str) -> Iterator[str]:
    """The kernel's file `name` of each thread of `pid`; threads and processes may end meanwhile.

    A program may give its threads names that are no text.
    """
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        try:
            text = Path(f"/proc/{pid}/task/{thread}/{name}").read_text(errors="replace")
        except OSError:
            continue
        yield text


def _private_bytes(pid: int) -> int:
    """Resident memory that is not shared with others (files and shared buffers do not count)."""
    with contextlib.suppress(OSError, ValueError):
        _size, resident, shared = (int(word) for word in Path(f"/proc/{pid}/statm").read_text().split()[:3])
        return max(0, resident - shared) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _bytes_under(directory: Path) -> int:
    total = 0
    for folder, _names, files in os.walk(directory):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total
