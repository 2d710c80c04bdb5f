"""Many samples of many tasks as columns, so that selection over a whole run takes seconds.

In these arrays a missing number is NaN, and only here: every record that is made from them has None instead.

Axis suffixes: P tasks, N samples (of all tasks, or of one), T tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.core.errors import UsageError
from assay.core.records import Attempt, Verdict

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Column = ArrayLike | Sequence[float | None]

VERDICTS = tuple(Verdict)
NO_VERDICT = -1

# Sliding window of `bottom_logprob`; a shorter completion is one window.
WINDOW_TOKENS = 32


@dataclass(frozen=True)
class Samples:
    """Columns of N samples. NaN, or -1 in an integer column, where a sample lacks the value.

    round, index: which round, and which draw within (round, task). n_tokens, sum_logprob, mean_logprob: of the
    completion, raw. is_correct: the judge's word. speedup, low, high: ratio with its interval. raw: what a
    point-estimate rule would have used. verdict: place in `VERDICTS`. candidate: number of the program, equal for
    identical ones. bottom_logprob, self_certainty: None as a whole where the run did not store what they are made of.
    """

    round: Ints
    index: Ints
    n_tokens: Ints
    sum_logprob: Floats
    mean_logprob: Floats
    is_correct: Bools
    speedup: Floats
    low: Floats
    high: Floats
    raw: Floats
    verdict: Ints
    candidate: Ints
    reward: Floats
    bottom_logprob: Floats | None = None
    self_certainty: Floats | None = None

    def __len__(self) -> int:
        return len(self.round)

    @property
    def is_fast_raw(self) -> Bools:
        """The published fast_1: correct, and the point estimate above 1."""
        return self.is_correct & (self.raw > 1.0)

    @property
    def is_fast_verified(self) -> Bools:
        """The verdict is `faster`."""
        return self.verdict == VERDICTS.index(Verdict.FASTER)

    def take(self, rows: Any) -> "Samples":
        """The samples at `rows`: indices, a mask or a slice."""
        columns: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, column in columns.items():
            columns[name] = None if column is None else column[rows]
        return Samples(**columns)


@dataclass(frozen=True)
class Pool:
    """Samples grouped by task. offsets: P+1 places; task p has samples offsets[p] to offsets[p+1], in drawn order."""

    task_keys: tuple[str, ...]
    offsets: Ints
    samples: Samples

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def task(self) -> Ints:
        """The task number of each sample, shape (N,)."""
        return np.arange(len(self.task_keys)).repeat(np.diff(self.offsets))

    def of(self, p: int) -> Samples:
        """The samples of task number p, as views."""
        return self.samples.take(slice(int(self.offsets[p]), int(self.offsets[p + 1])))

    def by_task(self) -> Iterable[tuple[str, Samples]]:
        """Task key and samples, task by task."""
        return ((key, self.of(p)) for p, key in enumerate(self.task_keys))

    def of_rounds(self, rounds: Iterable[int]) -> "Pool":
        """The pool of those rounds alone; tasks stay, even where they have no sample left."""
        keep = np.isin(self.samples.round, list(rounds))
        counts = np.bincount(self.task[keep], minlength=len(self.task_keys))
        return Pool(self.task_keys, np.append(0, np.cumsum(counts)), self.samples.take(keep))

    def of_tasks(self, keys: Iterable[str]) -> "Pool":
        """The pool of those of its tasks that are among `keys`, in the pool's order."""
        wanted = set(keys)
        places = [p for p, key in enumerate(self.task_keys) if key in wanted]
        counts = np.diff(self.offsets)[places]
        rows = np.isin(self.task, places)
        kept = tuple(self.task_keys[p] for p in places)
        return Pool(kept, np.append(0, np.cumsum(counts)).astype(np.int64), self.samples.take(rows))

    @classmethod
    def from_columns(
        cls,
        *,
        task_key: Sequence[str],
        is_correct: ArrayLike,
        n_tokens: Column,
        sum_logprob: Column,
        round: Column | None = None,
        index: Column | None = None,
        speedup: Column | None = None,
        low: Column | None = None,
        high: Column | None = None,
        raw: Column | None = None,
        verdict: Sequence[str | None] | None = None,
        candidate_hash: Sequence[str | None] | None = None,
        reward: Column | None = None,
        bottom_logprob: Column | None = None,
        self_certainty: Column | None = None,
        tasks: Sequence[str] | None = None,
    ) -> "Pool":
        """A pool from columns of one length, in any order; None (or NaN) where a sample lacks a value.

        tasks: the order of the tasks, and those without any sample; default: as they first appear. A missing `index` is
        the order given. UsageError for a task key outside `tasks`; ValueError for columns of different lengths.
        """
        n = len(task_key)
        numbers = {key: p for p, key in enumerate(dict.fromkeys(task_key if tasks is None else tasks))}
        unknown = sorted(set(task_key) - set(numbers))
        if unknown:
            raise UsageError(
                f"samples of task {unknown[0]!r}, which is not among the {len(numbers)} tasks of this pool"
            )
        tokens, total = _floats(n_tokens, n), _floats(sum_logprob, n)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(tokens > 0, total / tokens, np.nan)
        samples = Samples(
            round=_integers(round, n, default=0),
            index=np.arange(n) if index is None else _integers(index, n, default=-1),
            n_tokens=_integers(n_tokens, n, default=-1),
            sum_logprob=total,
            mean_logprob=mean,
            is_correct=_of_length(np.asarray(is_correct, bool), n),
            speedup=_floats(speedup, n),
            low=_floats(low, n),
            high=_floats(high, n),
            raw=_floats(raw, n),
            verdict=_codes(verdict, n, {str(name): code for code, name in enumerate(VERDICTS)}),
            candidate=_codes(candidate_hash, n, None),
            reward=_floats(reward, n),
            bottom_logprob=None if bottom_logprob is None else _floats(bottom_logprob, n),
            self_certainty=None if self_certainty is None else _floats(self_certainty, n),
        )
        task_N = np.fromiter((numbers[key] for key in task_key), np.int64, n)
        order = np.lexsort((samples.index, samples.round, task_N))
        offsets = np.append(0, np.cumsum(np.bincount(task_N, minlength=len(numbers))))
        return cls(tuple(numbers), offsets, samples.take(order))

    @classmethod
    def from_attempts(cls, attempts: Iterable[Attempt], tasks: Sequence[str] | None = None) -> "Pool":
        """A pool from records; `tasks` as in `from_columns`. Self-certainty is not in the records, and stays absent."""
        rows = [_row(attempt) for attempt in attempts]
        columns = {name: [row[place] for row in rows] for place, name in enumerate(_ROW)}
        return cls.from_columns(**columns, tasks=tasks)


def bottom_logprob(logprobs_T: ArrayLike, window: int = WINDOW_TOKENS) -> float | None:
    """Mean of the lowest 10% (at least one) of the mean log-probabilities of all windows of `window` tokens.

    After the bottom-10% group confidence of DeepConf (Fu et al. 2025, arXiv:2508.15260), with two differences: the
    log-probability of the sampled token stands for the mean over the top k, and the window is short because the
    programs are. None for an empty completion.
    """
    logprobs = np.asarray(logprobs_T, float)
    if len(logprobs) == 0:
        return None
    width = min(window, len(logprobs))
    sums = np.append(0.0, np.cumsum(logprobs))
    means = np.sort((sums[width:] - sums[:-width]) / width)
    return float(means[: max(1, len(means) // 10)].mean())


# The columns of `from_attempts`, in the order of `_row`.
_ROW = (
    *("task_key", "round", "index", "n_tokens", "sum_logprob", "is_correct", "speedup", "low", "high", "raw"),
    *("verdict", "candidate_hash", "reward", "bottom_logprob"),
)


def _row(attempt: Attempt) -> tuple[Any, ...]:
    sample, evaluation = attempt.sample, attempt.evaluation
    speedup = evaluation.speedup
    times = (None,) * 4 if speedup is None else (speedup.ratio, speedup.low, speedup.high, speedup.raw)
    return (
        *(sample.task_key, sample.round, sample.index, sample.n_tokens, sample.sum_logprob),
        *(evaluation.is_correct, *times, evaluation.verdict, evaluation.candidate_hash, attempt.reward),
        bottom_logprob(sample.completion.logprobs),
    )


def _of_length(column: NDArray[Any], n: int) -> NDArray[Any]:
    if column.shape != (n,):
        raise ValueError(f"a column of shape {column.shape} in a pool of {n} samples")
    return column


def _floats(column: Column | None, n: int) -> Floats:
    values: Any = column  # numpy turns None into NaN; its type stubs do not know
    return np.full(n, np.nan) if column is None else _of_length(np.array(values, float), n)


def _integers(column: Column | None, n: int, default: int) -> Ints:
    floats = _floats(column, n)
    return np.where(np.isnan(floats), default, floats).astype(np.int64)


def _codes(names: Sequence[str | None] | None, n: int, known: Mapping[str, int] | None) -> Ints:
    """A number for each name, -1 for None: by `known`, or else in the order of first appearance."""
    if names is None:
        return np.full(n, -1, np.int64)
    table = dict(known) if known is not None else {}
    if known is None:
        table = {name: code for code, name in enumerate(dict.fromkeys(name for name in names if name is not None))}
    return _of_length(np.array([-1 if name is None else table[name] for name in names], np.int64), n)
