"""How long selection and analysis take on a large pool: no model, no device, no store.

    python benchmarks/selection_pool.py [--samples 100000] [--tasks 250] [--seed 0] [--json]

The pool is synthetic: half of the samples are correct, speedups are log-normal, a fifth of the correct samples has the
verdict `faster`, and a third of them repeats a program. Times are wall-clock seconds of one process, best of --repeats.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence

import numpy as np

from assay.core.ledger import Spend
from assay.core.records import Evaluation, Provenance, Speedup, Status, Task, Verdict
from assay.report.analysis import analyse
from assay.report.analysis_runs import RunView
from assay.selection.outcomes import selection_report
from assay.selection.pool import Pool

COPIES = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the seconds of each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    view = make_view(options.samples, options.tasks, rng)
    seconds = {
        "select": timed(lambda: selection_report(view.pool, np.random.default_rng(0)), options.repeats),
        "analyze": timed(lambda: analyse([view], published=True), options.repeats),
        "analyze --null": timed(lambda: analyse([view], null=True), options.repeats),
    }
    found = {"samples": len(view.pool), "tasks": options.tasks, "machine": platform.platform(), "seconds": seconds}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['samples']} samples of {options.tasks} tasks on {found['machine']}")
    for name, taken in seconds.items():
        print(f"  {name:15} {taken:6.2f} s")


def timed(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return round(min(taken), 3)


def make_view(n: int, tasks: int, rng: np.random.Generator) -> RunView:
    records = tuple(Task(suite="synthetic", id=str(p), name=str(p), source=f"# {p}") for p in range(tasks))
    task_N = np.sort(rng.integers(tasks, size=n))
    is_correct, ratio = rng.random(n) < 0.5, np.exp(rng.normal(0, 0.2, n))
    is_fast = is_correct & (rng.random(n) < 0.2)
    tokens = rng.integers(20, 200, n)
    pool = Pool.from_columns(
        task_key=[records[p].key for p in task_N],
        is_correct=is_correct,
        n_tokens=tokens,
        sum_logprob=rng.normal(-0.5, 0.2, n) * tokens,
        bottom_logprob=rng.normal(-1.5, 0.5, n),
        speedup=np.where(is_correct, ratio, np.nan),
        low=np.where(is_correct, ratio * 0.98, np.nan),
        high=np.where(is_correct, ratio * 1.02, np.nan),
        raw=np.where(is_correct, ratio * np.exp(rng.normal(0, 0.05, n)), np.nan),
        verdict=[
            None if not c else Verdict.FASTER if f else Verdict.SAME for c, f in zip(is_correct, is_fast, strict=True)
        ],
        candidate_hash=[f"{p}:{i}" for p, i in zip(task_N, rng.integers(0, max(1, n // tasks * 3), n), strict=True)],
    )
    return RunView(
        name="synthetic",
        model="none",
        strategy="best-of-n",
        device="none",
        rule="assay",
        is_complete=True,
        tasks=records,
        pool=pool,
        controls={task.key: tuple(copy(task, number, rng) for number in range(COPIES)) for task in records},
        shortlist=None,
        spent=Spend(rollouts=n, completion_tokens=int(tokens.sum())),
        notes=(),
    )


def copy(task: Task, number: int, rng: np.random.Generator) -> Evaluation:
    raw = float(np.exp(rng.normal(0, 0.05)))
    return Evaluation(
        task_key=task.key,
        candidate_hash=f"{task.id}-{number}",
        status=Status.CORRECT,
        verdict=Verdict.SAME,
        speedup=Speedup(ratio=1.0, low=0.99, high=1.01, margin=0.01, pairs=20, replicates=2, raw=raw),
        provenance=Provenance(device="none"),
    )


if __name__ == "__main__":
    main()
