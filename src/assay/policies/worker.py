"""Computations off the event loop: one at a time on each replica of a model, and together where all must change.

Each replica has a thread of its own. The event loop's threads are shared with everything else that waits, such as
judges, of which many may be waiting.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TypeVar

import torch

Result = TypeVar("Result")
Check = Callable[[], None]


class _Cancelled(Exception):
    """Nobody waits for the computation any more."""


class Worker:
    """Runs one computation at a time for one replica, and ends it early when its caller is cancelled."""

    def __init__(self, threads: int | None, device: torch.device | None = None) -> None:
        """`threads`: of the CPU, None for torch's own setting. `device`: the current CUDA device of a computation."""
        self.in_hand = 0
        self._threads = threads
        self._device = device
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="replica")  # ends when nobody holds the worker any more

    async def run(self, compute: Callable[[Check], Result], gradients: bool = False) -> Result:
        """`compute` in a thread; it gets a function to call often, which raises once the caller was cancelled."""

        def work(check: Check) -> Result:
            with self._lock, self.settings(), torch.inference_mode(mode=not gradients):
                check()
                return compute(check)

        self.in_hand += 1
        try:
            return await self.in_thread(work)
        finally:
            self.in_hand -= 1

    async def in_thread(self, work: Callable[[Check], Result]) -> Result:
        """`work` in the replica's thread, when its turn comes; it gets a function as in `run`."""
        cancelled = threading.Event()

        def check() -> None:
            if cancelled.is_set():
                raise _Cancelled

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, check)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Within it no other computation of this replica runs."""
        with self._lock:
            yield

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Within it this thread has the replica's device and number of CPU threads."""
        before = torch.get_num_threads()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        on_cuda = self._device is not None and self._device.type == "cuda"
        try:
            with torch.cuda.device(self._device) if on_cuda else nullcontext():
                yield
        finally:
            torch.set_num_threads(before)


class Team:
    """The workers of all replicas of a model, for what must happen to every replica or to none."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers

    async def run(self, compute: Callable[[Check], Result]) -> Result:
        """`compute` in a thread while no replica computes anything else; gradients are recorded."""

        def work(check: Check) -> Result:
            with ExitStack() as held:
                for worker in self._workers:  # always in this order, so that two teams never wait for each other
                    held.enter_context(worker.alone())
                held.enter_context(self._workers[0].settings())
                check()
                return compute(check)

        return await self._workers[0].in_thread(work)

    def each(self, jobs: Sequence[Callable[[], Result]]) -> list[Result]:
        """Within `run`: job i on replica i, all at once. Waits for all; then the first failure is raised."""
        if len(jobs) == 1:
            return [jobs[0]()]

        def work(worker: Worker, job: Callable[[], Result]) -> Result:
            with worker.settings():
                return job()

        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(work, self._workers[: len(jobs)], jobs))
