"""Several coroutines at once."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")


async def together(work: Iterable[Coroutine[Any, Any, Result]], at_once: int | None = None) -> list[Result]:
    """The results of `work` in order, with at most `at_once` of it under way together (None: all).

    The first failure ends the rest and comes out alone, since callers know no groups.
    """
    gate = None if at_once is None else asyncio.Semaphore(at_once)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one if gate is None else _behind(gate, one)) for one in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in tasks]


async def _behind(gate: asyncio.Semaphore, one: Coroutine[Any, Any, Result]) -> Result:
    async with gate:
        return await one
