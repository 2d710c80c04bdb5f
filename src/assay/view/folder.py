"""A folder of runs, opened so that nothing outside it is read, whatever is asked and whatever lies in it.

A request never becomes a path: runs are found by walking the folder, and a name that is asked for is looked up among
those that were found. The walk follows no symbolic link, and a run that holds one, or anything that is neither a file
nor a folder, is not opened. A store may come from anybody: it is opened read-only, views, triggers and virtual tables
are refused, values are limited in length, and a query that takes long is ended.

Not covered: another process that swaps files for links in the folder while a run is being opened, and hard links.
"""

import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.core.errors import UsageError
from assay.runs import database
from assay.runs.store import RunStore

DEPTH = 4
ENTRIES = 50_000
QUERY_S = 20.0
VALUE_BYTES = 32_000_000
_STEPS_BETWEEN_CHECKS = 20_000


class NotServedError(UsageError):
    """There is no such thing here, or it is not shown."""


@dataclass(frozen=True)
class OpenRun:
    """A run that is open for reading; everything that is read of it is of one moment."""

    name: str
    store: RunStore
    connection: sqlite3.Connection


class RunFolder:
    """The runs in and below one folder."""

    def __init__(self, root: Path) -> None:
        """UsageError unless `root` is a folder."""
        if not root.is_dir():
            raise UsageError(f"no folder {root}: name the folder that holds run directories, as in assay view runs")
        self.root = root.resolve()

    def names(self) -> list[str]:
        """The runs by their path below the folder, `.` for the folder itself; the most recent change first."""
        found = dict(self._walk())
        return sorted(found, key=lambda name: (-found[name], name))

    @contextmanager
    def open(self, name: str) -> Iterator[OpenRun]:
        """The run that is called `name` in `names`. NotServedError if there is none, or it is not to be opened."""
        if name not in self.names():
            raise NotServedError("there is no such run in this folder")
        directory = self.root if name == "." else self.root / name
        check_contained(directory)
        with database.store_errors(directory):
            connection = database.connect(directory, writable=False)
        try:
            _guard(connection)
            with database.store_errors(directory):
                _check_schema(connection)
                database.check_version(directory, connection)
                connection.execute("BEGIN")
                store = RunStore(directory, connection, None)
            yield OpenRun(name, store, connection)
        finally:
            connection.close()

    def _walk(self) -> Iterator[tuple[str, float]]:
        """Names and times of the stores' last change."""
        waiting, seen = [(self.root, 0)], 0
        while waiting:
            directory, depth = waiting.pop()
            changed = _store_changed(directory)
            if changed is not None:
                yield directory.relative_to(self.root).as_posix(), changed
                continue
            if depth == DEPTH:
                continue
            try:
                entries = list(os.scandir(directory))
            except OSError:  # not ours to read, or gone since
                continue
            for entry in entries:
                seen += 1
                if seen <= ENTRIES and not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), depth + 1))


def check_contained(directory: Path) -> None:
    """NotServedError if a run holds a link, a pipe or a device: reading it could lead out of the folder, or never end.

    Copies of candidates are left out: they are read from the store.
    """
    waiting, seen = [directory], 0
    while waiting:
        for entry in os.scandir(waiting.pop()):
            seen += 1
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if entry.name != "candidates":
                    waiting.append(Path(entry.path))
            elif not stat.S_ISREG(mode):
                raise NotServedError(f"this run is not shown: {entry.name} in it is a link or no plain file")
            if seen > ENTRIES:
                raise NotServedError(f"this run is not shown: it holds more than {ENTRIES} files")


def _store_changed(directory: Path) -> float | None:
    """Time of the last change of the store in `directory`; None where there is none, or only a link to one."""
    changed = None
    for suffix in ("", "-wal"):
        try:
            found = (directory / f"{database.FILE_NAME}{suffix}").lstat()
        except OSError:
            continue
        if suffix == "" and not stat.S_ISREG(found.st_mode):
            return None
        if suffix == "" or changed is not None:
            changed = max(changed or 0.0, found.st_mtime)
    return changed


def _guard(connection: sqlite3.Connection) -> None:
    """Ends queries that take long, and refuses values that are long: what a store holds is somebody else's choice."""
    ends = time.monotonic() + QUERY_S
    connection.set_progress_handler(lambda: time.monotonic() > ends, _STEPS_BETWEEN_CHECKS)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_BYTES)
    connection.execute("PRAGMA trusted_schema = OFF")


def _check_schema(connection: sqlite3.Connection) -> None:
    """A store of ours has tables and indices alone; anything else could compute while it is being read."""
    odd = connection.execute(
        "SELECT name FROM sqlite_master WHERE type NOT IN ('table', 'index') OR upper(sql) LIKE 'CREATE VIRTUAL%'"
        " OR upper(sql) LIKE '%GENERATED%' OR upper(sql) LIKE '% AS (%'"
    ).fetchone()
    if odd is not None:
        raise NotServedError("this run is not shown: its store holds more than tables")
