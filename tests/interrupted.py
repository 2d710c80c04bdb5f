"""Runs that are cut short: cancelled after so many events, or killed with SIGKILL in a process of their own."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from assay.runs.runner import execute
from assay.runs.stages import Parts
from assay.runs.store import RunStore


def cancel_after(store: RunStore, parts: Parts, events: int) -> None:
    """Executes a run that is cancelled at the event with this number."""

    async def stopped() -> None:
        count = 0

        def observe(_event: object) -> None:
            nonlocal count
            count += 1
            if count == events:
                task.cancel()

        task = asyncio.ensure_future(execute(store, parts, observe))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())


def kill_twice(
    script: str,
    arguments: Sequence[object],
    here: Path,
    rng: random.Random,
    events: tuple[int, int],
    wait_s: float = 0.0,
) -> None:
    """Runs `script`, which prints a line an event, two times in a row, and kills it after a random number of lines.

    here: folder of the test, for imports. events: the least and the largest number. wait_s: at most so long after that.
    """
    env = {**os.environ, "PYTHONPATH": f"{here}:{here.parent}"}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        assert process.stdout is not None
        for _ in range(rng.randint(*events)):
            process.stdout.readline()
        if wait_s:
            time.sleep(rng.random() * wait_s)
        process.kill()
        process.wait()
        process.stdout.close()
