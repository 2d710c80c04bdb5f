"""A run at a glance: who, what, how far; in a few queries that parse no record, so that many runs can be watched."""

import fcntl
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from assay.core.records import Record
from assay.runs import database

State = Literal["running", "finished", "stopped"]


class RunGlance(Record):
    """One run of a list. samples_planned: at most so many, None where the configuration does not tell.

    rounds: complete ones. programs: distinct ones that had their first look. faster: tasks with a program that is
    `faster` at first look; wins: tasks whose pick of these is `faster` again when measured afresh. tokens: prompt,
    completion and teacher. seconds: of all phases. changed: when the store was last written to, ISO 8601 in UTC.
    """

    model: str
    strategy: str
    suite: str
    device: str
    seed: int | None
    state: State
    tasks: int
    samples: int
    samples_planned: int | None
    rounds: int
    programs: int
    remeasured: int
    faster: int
    wins: int
    rollouts: int
    tokens: int
    evaluations: int
    seconds: float
    changed: str


_EVEN = ("best-of-n", "ttt", "sdpo")  # strategies that sample every task alike in every round

# The program that would be reported is the one with the highest lower bound (`runs/winners.py`).
_WINS = """SELECT COUNT(*) FROM (
        SELECT task_key, candidate_hash, MAX(low) FROM evaluations
        WHERE purpose = 'search' AND verdict = 'faster' GROUP BY task_key) picked
    JOIN evaluations again USING (task_key, candidate_hash)
    WHERE again.purpose = 'selected' AND again.verdict = 'faster'"""


def glance(directory: Path, connection: sqlite3.Connection) -> RunGlance:
    """The run in `directory`, read through `connection`. sqlite3.Error and ValueError for a store that is none."""

    def number(sql: str) -> Any:
        return connection.execute(sql).fetchone()[0] or 0

    config = json.loads(number("SELECT value FROM meta WHERE key = 'config'") or "{}")
    strategy = config.get("strategy")
    tasks = int(number("SELECT COUNT(*) FROM tasks"))
    is_complete = bool(number("SELECT COUNT(*) FROM meta WHERE key = 'finished_at'"))
    spent = "prompt_tokens) + SUM(completion_tokens) + SUM(teacher_tokens"
    seconds = "sampling_s) + SUM(evaluation_s) + SUM(training_s"
    return RunGlance(
        model=str(config.get("model", "unknown")),
        strategy=str(strategy.get("type", "unknown")) if isinstance(strategy, dict) else "unknown",
        suite=str(config.get("suite", "unknown")),
        device=str(config.get("device", "unknown")),
        seed=config["seed"] if isinstance(config.get("seed"), int) else None,
        state="finished" if is_complete else "running" if is_being_written(directory) else "stopped",
        tasks=tasks,
        samples=int(number("SELECT COUNT(*) FROM samples")),
        samples_planned=planned_samples(config, tasks),
        rounds=int(number("SELECT COUNT(*) FROM rounds")),
        programs=int(number("SELECT COUNT(*) FROM evaluations WHERE purpose = 'search'")),
        remeasured=int(number("SELECT COUNT(*) FROM evaluations WHERE purpose = 'selected'")),
        faster=int(
            number("SELECT COUNT(DISTINCT task_key) FROM evaluations WHERE verdict = 'faster' AND purpose = 'search'")
        ),
        wins=int(number(_WINS)),
        rollouts=int(number("SELECT SUM(rollouts) FROM ledger")),
        tokens=int(number(f"SELECT SUM({spent}) FROM ledger")),
        evaluations=int(number("SELECT SUM(evaluations) FROM ledger")),
        seconds=float(number(f"SELECT SUM({seconds}) FROM ledger")),
        changed=datetime.fromtimestamp(last_change(directory), UTC).isoformat(timespec="seconds"),
    )


def planned_samples(config: dict[str, Any], tasks: int) -> int | None:
    """Samples of all tasks and rounds that a stored configuration asks for: k a task, in each of steps + 1 rounds, or
    as many as its budget allows. None for strategies that choose as they go.
    """
    strategy, budget = config.get("strategy"), config.get("budget")
    if not isinstance(strategy, dict) or strategy.get("type") not in _EVEN:
        return None
    k, steps = strategy.get("k"), strategy.get("steps", 0)
    if not isinstance(k, int) or not isinstance(steps, int) or not 0 < k < 10**9 or not 0 <= steps < 10**6:
        return None
    limit = budget.get("rollouts") if isinstance(budget, dict) else None
    planned = k * (steps + 1) * tasks
    return min(planned, limit) if isinstance(limit, int) else planned


def last_change(directory: Path) -> float:
    """When the store was last written to, in seconds since the epoch; 0 where there is none."""
    files = [directory / f"{database.FILE_NAME}{suffix}" for suffix in ("", "-wal")]
    return max((file.lstat().st_mtime for file in files if file.exists()), default=0.0)


def is_being_written(directory: Path) -> bool:
    """Whether a process holds the writer's lock. Where the kernel lists its locks, without touching it."""
    path = directory / database.LOCK_NAME
    try:
        held = path.lstat()
        listed = Path("/proc/locks").read_text().splitlines()
    except FileNotFoundError:
        return path.exists() and _is_locked(path)
    except OSError:
        return False
    return any(_names_inode(line, held.st_ino) for line in listed if " FLOCK " in line and " WRITE " in line)


def _names_inode(line: str, inode: int) -> bool:
    """`3: FLOCK  ADVISORY  WRITE 811 fe:00:5769486 0 EOF`: the file is major:minor:inode. Devices are not compared,
    since file systems in layers show other ones here than to `stat`.
    """
    return any(part.count(":") == 2 and part.rpartition(":")[2] == str(inode) for part in line.split())


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
