"""Started runners kept ready, so that an evaluation on a GPU does not wait for CUDA to initialise.

Runners are started in the background while the device is not being timed: `quiet()` waits for a start under way and
holds back further ones.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from assay.core.errors import EvaluatorError
from assay.evaluator.processes import Runner

_PATIENCE_S = 3.0


class Spares:
    """Up to `size` runners from `start`; with size 0 every runner is started when it is taken."""

    def __init__(self, start: Callable[[], Runner], size: int) -> None:
        self._start = start
        self._size = size
        self._ready: queue.Queue[Runner | EvaluatorError] = queue.Queue()
        self._may_start = threading.Lock()
        self._wanted = threading.Semaphore(0)
        self._is_closed = False
        self._thread = threading.Thread(target=self._refill, name="assay-spares", daemon=True)
        if size:
            self._thread.start()
            for _ in range(size):
                self._wanted.release()

    def take(self) -> Runner:
        """A started runner; another one is started in its place."""
        if not self._size:
            return self._start()
        self._wanted.release()
        found = self._ready.get()
        if isinstance(found, EvaluatorError):
            raise found
        return found

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No runner is being started inside this block."""
        with self._may_start:
            yield

    def close(self) -> None:
        """Stops starting runners; those that are ready are the zygote's to kill."""
        self._is_closed = True
        if self._size:
            self._wanted.release()
            self._thread.join()

    def _refill(self) -> None:
        while True:
            self._wanted.acquire()
            if self._is_closed:
                return
            with self._may_start:
                self._ready.put(self._started_or_why_not())

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
