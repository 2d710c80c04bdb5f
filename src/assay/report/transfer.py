"""What adaptation on some tasks is worth on others: adapted weights beside the unadapted ones, task by task."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assay.core.ledger import Spend
from assay.core.records import Record
from assay.report.analysis_words import count, inside, listed, share
from assay.runs.pools import run_pool
from assay.runs.store import RunStore
from assay.selection.pool import Pool, Samples
from assay.stats.paired import McNemar, SignTest, holm, mcnemar, sign_test
from assay.stats.power import mcnemar_in_words, sign_test_in_words

METRICS = ("fast_1_verified", "fast_1_raw", "correct")


class Shares(Record):
    """Shares of samples."""

    samples: int
    fast_1_verified: float
    fast_1_raw: float
    correct: float


class TransferLine(Record):
    """One task on both sides. is_trained_on: the adapted weights have learned from it, so it shows no transfer."""

    task: str
    is_trained_on: bool
    base: Shares
    adapted: Shares


class MetricTest(Record):
    """A metric over the tasks that are compared: means of both sides, and exact tests.

    by_share: sign test on the shares of samples by task; adjusted_p: its p-value after Holm over the metrics.
    by_success: McNemar test on tasks with at least one such sample.
    """

    base: float
    adapted: float
    by_share: SignTest
    adjusted_p: float | None
    by_success: McNemar


class TransferTable(Record):
    """`run` at `step` on other tasks. compared: what the tests are over: tasks that it did not learn from, or all where
    there are no others. missing: tasks without judged samples on one side, left out.
    """

    run: str
    step: int
    base: str
    adapted: str
    is_complete: bool
    lines: tuple[TransferLine, ...]
    compared: tuple[str, ...]
    missing: tuple[str, ...]
    tests: dict[str, MetricTest]
    spent: dict[str, Spend]
    in_words: str


@dataclass(frozen=True)
class TransferSide:
    """One of the two runs, as far as it has come."""

    name: str
    pool: Pool
    is_complete: bool
    spent: Spend


def transfer_table(run: Path, step: int, base: Path, adapted: Path, trained: Collection[str]) -> TransferTable:
    """The table of both sides, finished or not; `trained`: keys of the tasks that the weights have learned from."""
    return transfer_between(str(run), step, _stored(base), _stored(adapted), trained)


def transfer_between(
    run: str, step: int, base: TransferSide, adapted: TransferSide, trained: Collection[str]
) -> TransferTable:
    """The table of two pools; see `transfer_table`."""
    by_key = [_by_task(side.pool) for side in (base, adapted)]
    # Tasks that one side has no judged sample of may not stand in its pool at all.
    every = tuple(dict.fromkeys((*base.pool.task_keys, *adapted.pool.task_keys)))
    keys = [key for key in every if all(key in found for found in by_key)]
    lines = tuple(
        TransferLine(
            task=key, is_trained_on=key in trained, base=_shares(by_key[0][key]), adapted=_shares(by_key[1][key])
        )
        for key in keys
    )
    held_out = [line for line in lines if not line.is_trained_on] or list(lines)
    tests = _tests(held_out, by_key)
    return TransferTable(
        run=run,
        step=step,
        base=base.name,
        adapted=adapted.name,
        is_complete=base.is_complete and adapted.is_complete,
        lines=lines,
        compared=tuple(line.task for line in held_out),
        missing=tuple(key for key in every if key not in keys),
        tests=tests,
        spent={"base": base.spent, "adapted": adapted.spent},
        in_words=_words(f"step {step} of {run}", lines, held_out, tests),
    )


def _stored(directory: Path) -> TransferSide:
    with RunStore.open(directory) as store:
        return TransferSide(str(directory), run_pool(store).pool, store.is_complete(), store.ledger.total)


def _by_task(pool: Pool) -> dict[str, Samples]:
    return {key: samples for key, samples in pool.by_task() if len(samples)}


def _shares(samples: Samples) -> Shares:
    outcomes = _outcomes(samples)
    return Shares(samples=len(samples), **{metric: float(of_metric.mean()) for metric, of_metric in outcomes.items()})


def _outcomes(samples: Samples) -> dict[str, np.ndarray]:
    return {
        "fast_1_verified": samples.is_fast_verified,
        "fast_1_raw": samples.is_fast_raw,
        "correct": samples.is_correct,
    }


def _tests(lines: Sequence[TransferLine], by_key: Sequence[dict[str, Samples]]) -> dict[str, MetricTest]:
    if not lines:
        return {}
    found = {}
    for metric in METRICS:
        base = np.array([getattr(line.base, metric) for line in lines])
        adapted = np.array([getattr(line.adapted, metric) for line in lines])
        won = [[bool(_outcomes(side[line.task])[metric].any()) for line in lines] for side in by_key]
        found[metric] = (base, adapted, sign_test(adapted - base), mcnemar(won[1], won[0]))
    adjusted = holm([by_share.p_value for _, _, by_share, _ in found.values()])
    return {
        metric: MetricTest(
            base=float(base.mean()),
            adapted=float(adapted.mean()),
            by_share=by_share,
            adjusted_p=p_value,
            by_success=by_success,
        )
        for (metric, (base, adapted, by_share, by_success)), p_value in zip(found.items(), adjusted, strict=True)
    }


def _words(
    name: str, lines: Sequence[TransferLine], held_out: Sequence[TransferLine], tests: dict[str, MetricTest]
) -> str:
    if not lines:
        return "No task has judged samples on both sides yet, so nothing can be said."
    if all(line.is_trained_on for line in lines):
        said = [f"{name} has learned from every one of these tasks, so this shows adaptation and no transfer."]
    else:
        said = [f"On {count(len(held_out), 'task')} that {name} has not learned from:"]
        if seen := [line.task for line in lines if line.is_trained_on]:
            said.append(f"(left out of it: {listed(seen)}, which it has learned from)")
    verified, correct = tests["fast_1_verified"], tests["correct"]
    said.append(
        f"{share(verified.adapted)} of samples are verified faster, beside {share(verified.base)} of the unadapted"
        f" model's, and {share(correct.adapted)} are correct, beside {share(correct.base)}."
    )
    sides = "the adapted model", "the unadapted one"
    for what, one in (("verified samples", verified), ("correct ones", correct)):
        test = sign_test_in_words(one.by_share, *sides, adjusted_p=one.adjusted_p)
        said.append(f"By the share of {what}: {inside(test)}")
    said.append(f"By tasks with a verified sample: {inside(mcnemar_in_words(verified.by_success, *sides))}")
    return " ".join(said)
