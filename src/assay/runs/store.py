"""The store of a run: one SQLite file that survives a kill at any moment.

Every write is one transaction on disk before the call returns (write-ahead log, synchronous = FULL), so what was shown
as done is done. `candidates/HASH.py` are copies for people; the database is the truth. One process writes at a time.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Self

from assay.core.errors import StoreError, UsageError
from assay.core.ledger import Ledger, Spend
from assay.core.records import Attempt, Candidate, Evaluation, ParseFailure, Prompt, Sample, Task
from assay.runs import database
from assay.runs.rows import evaluation_row, read_sample, sample_row, unparsed
from assay.runs.schema import SESSIONS, SPEND_FIELDS, STORE_VERSION, TABLES, Purpose


@dataclass(frozen=True)
class Drawn:
    """A sample with what was taken out of it."""

    sample: Sample
    outcome: Candidate | ParseFailure


@dataclass(frozen=True)
class Session:
    """One process at work on a run, and for how many seconds, up to the last thing that it stored."""

    model_device: str
    evaluator_device: str
    seconds: float


@dataclass(frozen=True)
class PoolColumns:
    """A pool of samples, column by column; every list has one entry a sample, ordered by task, round, index.

    status is `parse_error` where nothing could be parsed and None where the candidate is not evaluated yet. ratio, low,
    high, raw and verdict are those of the first look (`Purpose.SEARCH`); None unless the candidate is correct.
    """

    task_key: list[str]
    round: list[int]
    index: list[int]
    n_tokens: list[int]
    sum_logprob: list[float | None]
    mean_logprob: list[float | None]
    bottom_logprob: list[float | None]
    candidate_hash: list[str | None]
    reward: list[float | None]
    status: list[str | None]
    verdict: list[str | None]
    ratio: list[float | None]
    low: list[float | None]
    high: list[float | None]
    raw: list[float | None]
    timed_calls: list[int | None]


@dataclass(frozen=True)
class Entry:
    """What one phase spent in a round on a task; None where it belongs to no single one."""

    phase: str
    round: int | None
    task_key: str | None
    spend: Spend


class RunStore:
    """An open run directory. Made with `create` or `open`; close it, or use it as a context manager."""

    def __init__(self, directory: Path, connection: sqlite3.Connection, lock: IO[str] | None) -> None:
        self.directory = directory
        self._connection = connection
        self._lock = lock
        self._clock: tuple[int | None, float] | None = None
        self._ledger = Ledger(self._spent())

    @classmethod
    def create(cls, directory: Path, config: Mapping[str, object], tasks: Sequence[Task]) -> Self:
        """A new run in `directory`, which is made if it is not there. UsageError if it holds a run already."""
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"{directory} is a file: name a directory for the run with --out")
        with database.store_errors(directory, "Nothing was stored."):
            (directory / "candidates").mkdir(parents=True, exist_ok=True)
            lock = database.lock(directory)
            connection = database.connect(directory, writable=True)
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                connection.close()
                lock.close()
                raise UsageError(already(directory))
            with database.transaction(connection):
                for table in TABLES:
                    connection.execute(table)
                meta = {"store_version": str(STORE_VERSION), "config": json.dumps(config)}
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
                rows = [(n, task.key, task.hash, task.model_dump_json()) for n, task in enumerate(tasks)]
                connection.executemany("INSERT INTO tasks VALUES (?, ?, ?, ?)", rows)
            (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        return cls(directory, connection, lock)

    @classmethod
    def open(cls, directory: Path, writable: bool = False) -> Self:
        """The run in `directory`. UsageError if there is none, or a newer Assay wrote it, or another process writes."""
        if not (directory / database.FILE_NAME).is_file():
            raise UsageError(f"no run in {directory}: there is no {directory / database.FILE_NAME}")
        with database.store_errors(directory):
            lock = database.lock(directory) if writable else None
            connection = database.connect(directory, writable)
            try:
                database.check_version(directory, connection)
                store = cls(directory, connection, lock)
            except BaseException:
                connection.close()
                if lock is not None:
                    lock.close()
                raise
            if writable:
                store._restore_candidate_files()
        return store

    def close(self) -> None:
        """Closes the database and gives up the lock."""
        self._connection.close()
        if self._lock is not None:
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- what the run is ----------------------------------------------------------------------------------------

    @property
    def config(self) -> dict[str, object]:
        """The resolved configuration, as it was when the run began."""
        return json.loads(self._one("SELECT value FROM meta WHERE key = 'config'")[0])

    @property
    def ledger(self) -> Ledger:
        """What was spent so far; every write below that costs something charges it."""
        return self._ledger

    def spending(self) -> tuple[Entry, ...]:
        """What was spent so far by phase, round and task; together it is the ledger's total."""
        sums = ", ".join(f"SUM({name})" for name in SPEND_FIELDS)
        rows = self._rows(f"SELECT phase, round, task_key, {sums} FROM ledger GROUP BY 1, 2, 3 ORDER BY MIN(id)")
        return tuple(Entry(phase, round, task_key, _spend(amounts)) for phase, round, task_key, *amounts in rows)

    def tasks(self) -> tuple[Task, ...]:
        """The tasks as they were when the run began, in order."""
        rows = self._rows("SELECT record FROM tasks ORDER BY position")
        return tuple(Task.model_validate_json(record) for (record,) in rows)

    # -- writing ------------------------------------------------------------------------------------------------

    def add_samples(self, prompt: Prompt, drawn: Sequence[Drawn], spend: Spend) -> None:
        """All of `drawn` (one task, one round, one prompt) with what they cost, or nothing of it."""
        first = drawn[0].sample
        candidates = [one.outcome for one in drawn if isinstance(one.outcome, Candidate)]
        with self._write("sampling", spend, first.round, first.task_key) as sql:
            sql.execute("INSERT OR IGNORE INTO prompts VALUES (?, ?)", (prompt.hash, prompt.model_dump_json()))
            sources = [(candidate.hash, candidate.source) for candidate in candidates]
            sql.executemany("INSERT OR IGNORE INTO candidates VALUES (?, ?)", sources)
            rows = [sample_row(one.sample, one.outcome) for one in drawn]
            sql.executemany(f"INSERT INTO samples VALUES ({', '.join('?' * len(rows[0]))})", rows)
            self._write_candidate_files(candidates)  # before the commit: what the database knows has its file

    def add_evaluation(self, evaluation: Evaluation, purpose: Purpose, spend: Spend, round: int | None = None) -> None:
        """One evaluation with what it cost. StoreError if this program was evaluated for this purpose before."""
        with self._write(str(purpose), spend, round, evaluation.task_key) as sql:
            row = evaluation_row(evaluation, purpose)
            sql.execute(f"INSERT INTO evaluations VALUES ({', '.join('?' * len(row))})", row)

    def set_rewards(self, rewards: Mapping[str, float]) -> None:
        """Rewards by sample id."""
        with self._write("reward") as sql:
            for sample_id, reward in rewards.items():
                round_text, rest = sample_id.split(":", 1)
                task_key, index = rest.rsplit(":", 1)
                sql.execute(
                    "UPDATE samples SET reward = ? WHERE round = ? AND task_key = ? AND idx = ?",
                    (reward, int(round_text), task_key, int(index)),
                )

    def finish_round(self, round: int, snapshot_id: str, finished_at: str, spend: Spend | None = None) -> None:
        """Marks a round as complete: sampled, evaluated and, where the strategy learns, learned from (`spend`)."""
        with self._write("training", spend, round) as sql:
            sql.execute("INSERT INTO rounds VALUES (?, ?, ?)", (round, snapshot_id, finished_at))

    def complete(self, finished_at: str, ended_by: str | None = None) -> None:
        """Marks the run as finished: nothing is left to sample, evaluate, learn or measure again.

        ended_by: the limit of its budget that ended it; None where the strategy came to its end.
        """
        with self._write("end") as sql:
            if not self.is_complete():
                sql.execute("INSERT INTO meta VALUES ('finished_at', ?)", (finished_at,))
                if ended_by is not None:
                    sql.execute("INSERT INTO meta VALUES ('ended_by', ?)", (ended_by,))

    def start_clock(self, model_device: str, evaluator_device: str) -> None:
        """From now on every write notes how long this process has been at work, on which devices."""
        with self._write("start") as sql:
            sql.execute(SESSIONS)  # a run that an earlier version began has none
            row = sql.execute("INSERT INTO sessions VALUES (NULL, ?, ?, 0)", (model_device, evaluator_device))
            self._clock = (row.lastrowid, time.monotonic())

    # -- reading ------------------------------------------------------------------------------------------------

    def finished_rounds(self) -> int:
        """How many rounds are complete."""
        return self._one("SELECT COUNT(*) FROM rounds")[0]

    def is_complete(self) -> bool:
        """Whether `complete` was called."""
        return bool(self._rows("SELECT 1 FROM meta WHERE key = 'finished_at'"))

    def ended_by(self) -> str | None:
        """The limit of the budget that ended the run; None where none did."""
        rows = self._rows("SELECT value FROM meta WHERE key = 'ended_by'")
        return rows[0][0] if rows else None

    def sessions(self) -> list[Session]:
        """The processes that worked on the run, in order; none for a run of an earlier version."""
        if not self._rows("SELECT 1 FROM sqlite_master WHERE name = 'sessions'"):
            return []
        rows = self._rows("SELECT model_device, evaluator_device, seconds FROM sessions ORDER BY id")
        return [Session(*row) for row in rows]

    def search_spend(self) -> Spend:
        """What the search itself has spent: all but the measuring of copies and, afterwards, of winners."""
        return self._spent(f"WHERE phase NOT IN ('{Purpose.SELECTED}', '{Purpose.CONTROL}')")

    def snapshots(self, round: int, task_key: str | None = None) -> set[str]:
        """The ids of the snapshots that a round was sampled from: one a task, unless the run is damaged."""
        rows = self._rows(
            "SELECT DISTINCT snapshot_id FROM samples WHERE round = ? AND (task_key = ? OR ? IS NULL)",
            (round, task_key, task_key),
        )
        return {snapshot_id for (snapshot_id,) in rows}

    def indices(self, round: int, task_key: str) -> set[int]:
        """The sample indices that are stored for a task in a round."""
        rows = self._rows("SELECT idx FROM samples WHERE round = ? AND task_key = ?", (round, task_key))
        return {index for (index,) in rows}

    def unevaluated(self, round: int, task_key: str) -> list[Candidate]:
        """The distinct candidates of a task in a round that have had no first look yet, in the order of their draw."""
        rows = self._rows(
            """SELECT source FROM samples s JOIN candidates c ON c.hash = s.candidate_hash
            WHERE s.round = ? AND s.task_key = ? AND NOT EXISTS (
                SELECT 1 FROM evaluations e WHERE e.task_key = s.task_key AND e.candidate_hash = s.candidate_hash
                AND e.purpose = 'search')
            GROUP BY s.candidate_hash ORDER BY MIN(s.idx)""",
            (round, task_key),
        )
        return [Candidate(source=source) for (source,) in rows]

    def candidate(self, candidate_hash: str) -> Candidate:
        """The program with this hash. KeyError if the run has none."""
        row = self._connection.execute("SELECT source FROM candidates WHERE hash = ?", (candidate_hash,)).fetchone()
        if row is None:
            raise KeyError(candidate_hash)
        return Candidate(source=row[0])

    def prompt(self, prompt_hash: str) -> Prompt:
        """The prompt with this hash."""
        return Prompt.model_validate_json(self._one("SELECT record FROM prompts WHERE hash = ?", (prompt_hash,))[0])

    def evaluations(self, purpose: Purpose, task_key: str | None = None) -> list[Evaluation]:
        """All evaluations of a purpose, of one task or of all, in the order in which they were made."""
        rows = self._rows(
            """SELECT record FROM evaluations WHERE purpose = ? AND (task_key = ? OR ? IS NULL) ORDER BY rowid""",
            (str(purpose), task_key, task_key),
        )
        return [Evaluation.model_validate_json(record) for (record,) in rows]

    def samples(self, task_key: str | None = None, round: int | None = None) -> Iterator[Sample]:
        """Samples with their tokens, ordered by task, round, index."""
        rows = self._rows(
            """SELECT tokens, logprobs, s.record FROM samples s JOIN tasks t ON t.key = s.task_key
            WHERE (s.task_key = ? OR ? IS NULL) AND (round = ? OR ? IS NULL) ORDER BY t.position, round, idx""",
            (task_key, task_key, round, round),
        )
        for tokens, logprobs, record in rows:
            yield read_sample(tokens, logprobs, record)

    def attempts(
        self, task_key: str | None = None, round: int | None = None, *, leave_out_unevaluated: bool = False
    ) -> list[Attempt]:
        """Samples with their candidates and first looks. StoreError if one is not evaluated, unless left out."""
        looks = {(e.task_key, e.candidate_hash): e for e in self.evaluations(Purpose.SEARCH, task_key)}
        rows = self._rows(
            """SELECT s.task_key, candidate_hash, source, failure, reward, tokens, logprobs, s.record
            FROM samples s JOIN tasks t ON t.key = s.task_key LEFT JOIN candidates c ON c.hash = s.candidate_hash
            WHERE (s.task_key = ? OR ? IS NULL) AND (round = ? OR ? IS NULL) ORDER BY t.position, round, idx""",
            (task_key, task_key, round, round),
        )
        attempts = []
        for key, candidate_hash, source, failure, reward, tokens, logprobs, record in rows:
            evaluation = unparsed(key, failure) if source is None else looks.get((key, candidate_hash))
            if evaluation is None and leave_out_unevaluated:
                continue
            if evaluation is None:
                raise StoreError(f"{self.directory}: candidate {candidate_hash} of {key} is not evaluated yet")
            sample, candidate = read_sample(tokens, logprobs, record), Candidate(source=source) if source else None
            attempts.append(Attempt(sample=sample, candidate=candidate, evaluation=evaluation, reward=reward))
        return attempts

    def pool_columns(self, round: int | None = None, task_key: str | None = None) -> PoolColumns:
        """The pool without tokens and texts: seconds for 100,000 samples, since no JSON is parsed."""
        rows = self._rows(
            """SELECT s.task_key, round, idx, n_tokens, sum_logprob, mean_logprob, bottom_logprob,
                s.candidate_hash, reward,
                CASE WHEN s.candidate_hash IS NULL THEN 'parse_error' ELSE status END,
                verdict, ratio, low, high, raw, timed_calls
            FROM samples s JOIN tasks t ON t.key = s.task_key LEFT JOIN evaluations e
                ON e.task_key = s.task_key AND e.candidate_hash = s.candidate_hash AND e.purpose = 'search'
            WHERE (round = ? OR ? IS NULL) AND (s.task_key = ? OR ? IS NULL) ORDER BY t.position, round, idx""",
            (round, round, task_key, task_key),
        )
        width = len(fields(PoolColumns))
        return PoolColumns(*([list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]))

    # -- inside -------------------------------------------------------------------------------------------------

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple]:
        with database.store_errors(self.directory):
            return self._connection.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[object] = ()) -> tuple:
        rows = self._rows(sql, values)
        if not rows:
            raise StoreError(f"{self.directory}: the store lacks what it must have ({sql} {list(values)})")
        return rows[0]

    @contextmanager
    def _write(
        self, phase: str, spend: Spend | None = None, round: int | None = None, task_key: str | None = None
    ) -> Iterator[sqlite3.Connection]:
        with database.store_errors(self.directory), database.transaction(self._connection):
            yield self._connection
            if spend is not None:
                row = (phase, round, task_key, *(getattr(spend, name) for name in SPEND_FIELDS))
                columns = f"phase, round, task_key, {', '.join(SPEND_FIELDS)}"
                self._connection.execute(f"INSERT INTO ledger ({columns}) VALUES ({', '.join('?' * len(row))})", row)
            if self._clock is not None:
                session, began = self._clock
                at_work = time.monotonic() - began
                self._connection.execute("UPDATE sessions SET seconds = ? WHERE id = ?", (at_work, session))
        if spend is not None:
            self._ledger.charge(spend)

    def _spent(self, which: str = "") -> Spend:
        sums = self._one(f"SELECT {', '.join(f'SUM({name})' for name in SPEND_FIELDS)} FROM ledger {which}")
        return _spend(sums)

    def _write_candidate_files(self, candidates: Iterable[Candidate]) -> None:
        for candidate in candidates:
            path = self.directory / "candidates" / f"{candidate.hash}.py"
            if not path.exists():
                part = path.with_suffix(".part")
                part.write_text(candidate.source)
                os.replace(part, path)

    def _restore_candidate_files(self) -> None:
        rows = self._rows("SELECT hash, source FROM candidates")
        (self.directory / "candidates").mkdir(exist_ok=True)
        there = {path.stem for path in (self.directory / "candidates").glob("*.py")}
        self._write_candidate_files(Candidate(source=source) for name, source in rows if name not in there)


def _spend(amounts: Sequence[float | None]) -> Spend:
    known = {name: amount for name, amount in zip(SPEND_FIELDS, amounts, strict=True) if amount is not None}
    return Spend.model_validate(known)


def already(directory: Path) -> str:
    """The message for a run that would be begun over another."""
    return f"{directory} already holds a run: go on with `assay resume {directory}`, or name another --out"
