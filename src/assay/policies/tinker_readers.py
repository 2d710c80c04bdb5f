"""Adapters that hold the weights of snapshots, for servers on which a snapshot would change with its trainer.

Such a server keeps one set of weights an adapter, whatever it is told to sample with. So a snapshot is saved as
training state, and read into an adapter of its own that is never trained. A few of these serve any number of snapshots:
one that is not in use takes the weights that are wanted next.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from assay.core.protocols import LoraConfig
from assay.policies.tinker_sdk import Connection, unique_name

READERS = 3
_WAIT_S = 0.02


@dataclass
class _Reader:
    trainer: Any = None  # the SDK's training client, of which only loading and saving are used
    path: str = ""
    sampler: Any = None
    users: int = 0
    is_loading: bool = False


class Readers:
    """At most `READERS` adapters of each rank."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._by_rank: dict[int, list[_Reader]] = {}

    @asynccontextmanager
    async def lease(self, path: str, rank: int) -> AsyncIterator[Any]:
        """A sampling client of the training state saved at `path`; others may use it at the same time."""
        reader = await self._claimed(path, rank)
        try:
            if reader.is_loading:
                await self._load(reader, path, rank)
            yield reader.sampler
        finally:
            reader.users -= 1

    async def _claimed(self, path: str, rank: int) -> _Reader:
        """A reader that has these weights, or one that this caller is to load; waits where all are in use."""
        readers = self._by_rank.setdefault(rank, [])
        while True:
            there = [one for one in readers if one.path == path]
            if there and not there[0].is_loading:
                there[0].users += 1
                return there[0]
            if not there:
                idle = next((one for one in readers if one.users == 0), None)
                if idle is None and len(readers) < READERS:
                    idle = _Reader()
                    readers.append(idle)
                if idle is not None:
                    # Claimed before anything is awaited, so that nobody else takes it; the least recently claimed one.
                    readers.append(readers.pop(readers.index(idle)))
                    idle.users, idle.path, idle.is_loading = 1, path, True
                    return idle
            await asyncio.sleep(_WAIT_S)

    async def _load(self, reader: _Reader, path: str, rank: int) -> None:
        try:
            if reader.trainer is None:
                reader.trainer = await self._connection.training_client(LoraConfig(rank=rank))
            loaded = reader.trainer.load_state(path)
            saved = reader.trainer.save_weights_for_sampler(unique_name())
            await self._connection.answer(loaded, f"loading {path}")
            name = (await self._connection.answer(saved, "saving sampler weights")).path
            reader.sampler = await self._connection.saved_client(name)
        except BaseException:
            reader.path = ""  # it holds nobody knows what
            raise
        finally:
            reader.is_loading = False
