"""The time of a call without the time in which others had the core, from the kernel's account of each thread.

On a shared machine most of the noise of a CPU timing is waiting: the program is ready, and something else runs. The
kernel keeps that wait (`/proc/PID/schedstat`, the second number), and how much processor time a process has used. A
call's undisturbed time is its wall time less the wait of the main thread, and at least the processor time that all its
threads used divided by the number of cores they have: a program that makes its own main thread wait, by another thread
on the same core, gains nothing. Time spent asleep or blocked counts in full.

Without that file (`CONFIG_SCHED_INFO`) nothing is taken off.
"""

import contextlib
import os
import time
from dataclasses import dataclass

_NUMBERS = 100  # bytes that hold the three numbers of schedstat


@dataclass(frozen=True)
class Account:
    """Nanoseconds so far: wall clock, wait of the main thread, processor time of all threads."""

    wall_ns: int
    wait_ns: int
    used_ns: int


def undisturbed_ns(before: Account, after: Account, threads: int) -> int:
    """Nanoseconds between two accounts of a program that has `threads` cores, without the waiting for them."""
    wall_ns = after.wall_ns - before.wall_ns
    waited_ns = max(0, after.wait_ns - before.wait_ns)
    used_ns = (after.used_ns - before.used_ns) // threads
    return min(wall_ns, max(wall_ns - waited_ns, used_ns, 1))


class OwnAccount:
    """The account of the thread that makes this object."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open("/proc/thread-self/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def begin(self) -> Account:
        """To be taken right before the work; the wall clock is read last."""
        wait_ns, used_ns = self.wait_ns(), time.process_time_ns()
        return Account(time.perf_counter_ns(), wait_ns, used_ns)

    def end(self) -> Account:
        """To be taken right after the work; the wall clock is read first."""
        wall_ns = time.perf_counter_ns()
        return Account(wall_ns, self.wait_ns(), time.process_time_ns())

    def close(self) -> None:
        """Closes the kernel's file; from here on no wait is known."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def wait_ns(self) -> int:
        """Nanoseconds that the thread has waited for a core so far."""
        if self._descriptor is None:
            return 0
        return int(os.pread(self._descriptor, _NUMBERS, 0).split()[1])


class Stopwatch:
    """The judge's clock around requests to another process; to be used in the thread that makes it.

    is_shared: the process works on cores that others use too, so its waiting for one, and the judge's own, is taken
    off. Where the work is a device's, the host's waiting is hidden behind it and nothing is taken off.
    """

    def __init__(self, pid: int, threads: int, *, is_shared: bool) -> None:
        self._pid, self._threads = pid, threads
        self._judge = OwnAccount() if is_shared else None
        self._judge_wait_ns = 0
        self._before = Account(0, 0, 0)

    def start(self) -> None:
        """To be called right before the request."""
        if self._judge is None:
            self._before = Account(time.perf_counter_ns(), 0, 0)
        else:
            self._judge_wait_ns = self._judge.wait_ns()
            self._before = account_of(self._pid)

    def stop(self) -> int:
        """Nanoseconds since `start`, read right after the answer."""
        wall_ns = time.perf_counter_ns()
        if self._judge is None:
            return wall_ns - self._before.wall_ns
        after = account_of(self._pid)
        if after.used_ns < self._before.used_ns:  # it ended after its answer: there is no account any more
            return wall_ns - self._before.wall_ns
        judge_ns = self._judge.wait_ns() - self._judge_wait_ns  # the answer was there, and the judge had no core
        ended = Account(wall_ns, after.wait_ns + judge_ns, after.used_ns)
        return undisturbed_ns(self._before, ended, self._threads)

    def close(self) -> None:
        """Closes the kernel's file."""
        if self._judge is not None:
            self._judge.close()


def account_of(pid: int) -> Account:
    """The account of another process, whose word is not needed for it."""
    wait_ns = used_ns = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/schedstat", "rb") as file:
            wait_ns = int(file.read(_NUMBERS).split()[1])
        used_ns = time.clock_gettime_ns(_clock_of(pid))
    return Account(time.perf_counter_ns(), wait_ns, used_ns)


def _clock_of(pid: int) -> int:
    """The clock of a process's processor time, as clock_getcpuclockid(3) makes its number on Linux."""
    scheduler_clock = 2
    return (~pid << 3) | scheduler_clock
