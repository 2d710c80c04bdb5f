"""The SQLite file of a run: opened, locked, versioned; its failures turned into errors that name the path."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from assay.core.errors import StoreError, UsageError
from assay.runs.schema import STORE_VERSION

FILE_NAME = "run.sqlite"
LOCK_NAME = ".lock"


def connect(directory: Path, writable: bool) -> sqlite3.Connection:
    """A connection in autocommit mode; a writable one puts every commit on disk before it returns."""
    mode = "rwc" if writable else "ro"
    path = directory.absolute() / FILE_NAME
    if not writable and not path.with_name(f"{FILE_NAME}-wal").exists():
        mode = "ro&immutable=1"  # nobody writes: so it can be read on a read-only file system too
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, isolation_level=None)
    if writable:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    return connection


def holds_run(directory: Path) -> bool:
    """Whether there is a store with tables in `directory`; what a failed beginning has left is none."""
    if not (directory / FILE_NAME).is_file():
        return False
    try:
        connection = connect(directory, writable=False)
        try:
            return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None
        finally:
            connection.close()
    except sqlite3.Error:
        return True  # something is there that is not ours to write over


def lock(directory: Path) -> IO[str]:
    """The writer's lock; the kernel gives it up when the process ends in any way. UsageError if another has it."""
    handle = (directory / LOCK_NAME).open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise UsageError(f"another process is writing to {directory}: wait until it ends, or end it") from None
    return handle


def check_version(directory: Path, connection: sqlite3.Connection) -> None:
    """UsageError unless this version of Assay can read the store."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
        raise UsageError(f"{directory / FILE_NAME} holds no run: remove {directory} and begin again")
    (version,) = connection.execute("SELECT value FROM meta WHERE key = 'store_version'").fetchone()
    if int(version) > STORE_VERSION:
        raise UsageError(
            f"{directory} was written by a newer Assay (store version {version}, this one reads up to {STORE_VERSION}):"
            " upgrade Assay to read it"
        )


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements inside, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


@contextmanager
def store_errors(directory: Path, comfort: str | None = None) -> Iterator[None]:
    """Turns failures of the disk and of the database into a StoreError that names the run and says what is safe."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        safe = comfort or f"What was shown as done is safe in {directory / FILE_NAME}."
        raise StoreError(f"{directory}: {error}. {safe}") from error
