"""Work that may be interrupted: Ctrl-C and SIGTERM end it cleanly, and the message says how to go on."""

import asyncio
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from assay.cli.console import say
from assay.core.errors import Interrupted


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM raises Interrupted even in the middle of what blocks, such as a download; Ctrl-C does so by itself."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted("stopped; nothing was in hand")

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def drive(work: Coroutine[Any, Any, None], directory: Path, again: str | None = None) -> None:
    """Runs `work`, which stores what it does in `directory`. again: how to go on, if not with `assay resume`.

    Ctrl-C raises KeyboardInterrupt (exit 130) and SIGTERM raises Interrupted (exit 3), both after everything that was
    begun has been closed. A second signal does not wait for that.
    """
    stopped_by: list[signal.Signals] = []

    async def supervised() -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def stop(received: signal.Signals) -> None:
            if stopped_by:  # a second signal does not wait: what is shown as done is stored already
                os._exit(128 + received)
            stopped_by.append(received)
            say("stopping after the step in hand ... (once more to stop at once)")
            task.cancel()

        for expected in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(expected, stop, expected)
        await work

    try:
        asyncio.run(supervised())
    except asyncio.CancelledError:
        if not stopped_by:
            raise
        message = _message(directory, again)
        if stopped_by[0] is signal.SIGINT:
            raise KeyboardInterrupt(message) from None
        raise Interrupted(message) from None


def _message(directory: Path, again: str | None) -> str:
    if again is not None:
        return f"stopped; nothing that was shown as done is lost. {again}"
    if (directory / "run.sqlite").exists():
        return f"stopped; nothing that was shown as done is lost. Go on with: assay resume {directory}"
    return "stopped before anything was begun"
