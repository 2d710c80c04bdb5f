"""Started runners kept ready, so that an evaluation on a GPU does not wait for CUDA to initialise.

Runners are started in the background, several at once, while the device is not being timed: `quiet()` waits for the
starts under way and holds back further ones, but for those that somebody is waiting for.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from assay.core.errors import EvaluatorError
from assay.evaluator.processes import Runner

_PATIENCE_S = 3.0


class Spares:
    """Up to `size` runners from `start`; with size 0 every runner is started when it is taken."""

    def __init__(self, start: Callable[[], Runner], size: int) -> None:
        self._start = start
        self._size = size
        self._ready: queue.Queue[Runner | EvaluatorError] = queue.Queue()
        self._state = threading.Condition()
        self._starting = 0
        self._takers = 0
        self._is_quiet = False
        self._is_closed = False
        self._starters = ThreadPoolExecutor(max(1, size), "assay-spares")
        for _ in range(size):
            self._starters.submit(self._add)

    def take(self) -> Runner:
        """A started runner; another one is started in its place."""
        if not self._size:
            return self._start()
        self._starters.submit(self._add)
        with self._state:
            self._takers += 1
            self._state.notify_all()
        found = self._ready.get()
        with self._state:
            self._takers -= 1
        if isinstance(found, EvaluatorError):
            raise found
        return found

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No runner is being started inside this block, unless more are taken than are ready."""
        with self._state:
            self._state.wait_for(lambda: not self._is_quiet)
            self._is_quiet = True
            self._state.wait_for(lambda: not self._starting)
        try:
            yield
        finally:
            with self._state:
                self._is_quiet = False
                self._state.notify_all()

    def close(self) -> None:
        """Stops starting runners; those that are ready are the zygote's to kill."""
        with self._state:
            self._is_closed = True
            self._state.notify_all()
        self._starters.shutdown()

    @property
    def _is_short(self) -> bool:
        """Whether somebody waits for a runner that is neither ready nor being started.

        Held back, such a start would never come: the block that holds it back may be the taker's own.
        """
        return self._takers > self._ready.qsize() + self._starting

    def _add(self) -> None:
        with self._state:
            self._state.wait_for(lambda: not self._is_quiet or self._is_short or self._is_closed)
            if self._is_closed:
                return
            self._starting += 1
        try:
            self._ready.put(self._started_or_why_not())
        except Exception as error:  # whoever takes it must hear of it, whatever it is
            self._ready.put(EvaluatorError(f"a runner could not start: {type(error).__name__}: {error}"))
        finally:
            with self._state:
                self._starting -= 1
                self._state.notify_all()

    def _started_or_why_not(self) -> Runner | EvaluatorError:
        """One start, tried again for a while: a killed program gives device memory back a little later."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self._start()
            except EvaluatorError as error:
                if time.monotonic() > deadline:
                    return error
                time.sleep(0.1)
