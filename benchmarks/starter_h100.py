"""The starter suite at GPU scale before the judge: every known fast program, every wrong one, and copies of references.

    python benchmarks/starter_h100.py --out starter.json --seconds 270

A task is written to `--out` as soon as it is done. Started again with the same file, the script goes on with the tasks
that are not in it; those that `--only` names are always judged. CUDA programs are compiled in the background meanwhile,
and their tasks come last.
"""

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from assay.core.errors import AssayError
from assay.core.records import Candidate, Evaluation, Task
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.tasks.starter_suite import solutions, starter_suite, starter_tasks
from assay.tasks.suites import select_tasks

Compiling = dict[str, Future[Evaluation]]


def main() -> None:
    """Judges task after task until all are done or the time is used up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", help="task ids, separated by commas")
    parser.add_argument("--seconds", type=float, help="no task is begun after this time")
    parser.add_argument("--calibration", type=int, default=EvaluatorConfig().calibration_replicates)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    started = time.monotonic()
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.exists() else {"tasks": {}}
    if options.only:
        tasks = list(select_tasks(starter_suite("gpu"), options.only.split(","), None).tasks)
    else:
        tasks = [task for task in starter_tasks("gpu") if task.id not in results["tasks"]]
    tasks.sort(key=lambda task: "cuda" in solutions(task.id).fast_on_gpu)
    judge = Judge(options.device, EvaluatorConfig(calibration_replicates=options.calibration))
    with ThreadPoolExecutor(max(1, len(tasks)), "compiling") as pool:
        compiling: Compiling = {}
        for task in tasks:
            if source := solutions(task.id).fast_on_gpu.get("cuda"):
                compiling[task.id] = pool.submit(judge.evaluate_now, task, Candidate(source=source))
        while tasks and (options.seconds is None or time.monotonic() - started < options.seconds):
            task = tasks.pop(0)
            results["tasks"][task.id] = judged(judge, task, compiling)
            results |= {"argv": sys.argv, "date": time.strftime("%Y-%m-%d"), "summary": summary(results["tasks"])}
            options.out.write_text(json.dumps(results, indent=1))
        judge.close_now()  # ends compilers that are not done
    judge.close_now()
    print(json.dumps(results.get("summary"), indent=1))
    if tasks:
        print(f"not judged yet ({len(tasks)}): {','.join(task.id for task in tasks)}")


def judged(judge: Judge, task: Task, compiling: Compiling) -> dict:
    """What the judge says of each program for one task; of a task that cannot be judged, why."""
    known = solutions(task.id)
    started = time.monotonic()
    row: dict = {"fast": {}, "wrong": [], "copy": None}
    try:
        for form, source in known.fast_on_gpu.items():
            if form == "cuda":
                found = compiling[task.id].result()
            else:
                found = judge.evaluate_now(task, Candidate(source=source))
            row["fast"][form] = described(task, form, found)
        if not known.fast_on_gpu:
            row["copy"] = described(task, "copy", judge.evaluate_now(task, Candidate(source=task.source), "Model"))
        for source in known.wrong:
            row["wrong"].append(described(task, "wrong", judge.evaluate_now(task, Candidate(source=source))))
    except AssayError as error:
        row["error"] = str(error)[:1000]
        report(f"{task.id}: {row['error']}")
    measured = [one for one in [*row["fast"].values(), row["copy"]] if one and one["reference_ms"]]
    row["reference_ms"] = measured[0]["reference_ms"] if measured else None
    row["seconds"] = time.monotonic() - started
    return row


def described(task: Task, name: str, found: Evaluation) -> dict:
    """The evaluation as it is kept; one line of it goes to standard error."""
    speedup = found.speedup
    row = {
        "status": found.status,
        "verdict": found.verdict,
        "flags": found.flags,
        "error": found.error[:600],
        "reference_ms": found.reference_ms,
        "candidate_ms": found.candidate_ms,
        "speedup": speedup.model_dump() if speedup else None,
        "seconds": found.seconds,
        "provenance": found.provenance.model_dump(),
    }
    times = f"{found.reference_ms:.3f} -> {found.candidate_ms:.3f} ms" if found.reference_ms else found.error[:200]
    ratio = f"{speedup.ratio:.3f} [{speedup.low:.3f}, {speedup.high:.3f}]" if speedup else ""
    report(f"{task.id} {name}: {found.status} {found.verdict or ''} {ratio} {times} ({found.seconds:.1f} s)")
    return row


def summary(tasks: dict[str, dict]) -> dict:
    """Counts over all tasks in the file, and what is not as it should be."""
    fast = {f"{key}/{form}": one for key, row in tasks.items() for form, one in row["fast"].items()}
    won = {key for key, row in tasks.items() if any(one["verdict"] == "faster" for one in row["fast"].values())}
    copies = {key: row["copy"] for key, row in tasks.items() if row["copy"]}
    wrong = [(key, one) for key, row in tasks.items() for one in row["wrong"]]
    return {
        "tasks": len(tasks),
        "tasks_with_a_verified_win": len(won),
        "verdicts_of_fast": Counter(str(one["verdict"] or one["status"]) for one in fast.values()),
        "fast_not_verified": [name for name, one in fast.items() if one["verdict"] != "faster"],
        "verdicts_of_copies": Counter(str(one["verdict"]) for one in copies.values()),
        "wrong_rejected": sum(one["status"] == "wrong_output" for _key, one in wrong),
        "wrong_not_rejected": [key for key, one in wrong if one["status"] != "wrong_output"],
        "failed": [key for key, row in tasks.items() if "error" in row],
        "reference_ms_outside": {
            key: row["reference_ms"] for key, row in tasks.items() if not 0.2 <= (row["reference_ms"] or 0) <= 5
        },
    }


def report(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
