"""Evaluations a second on this CPU, a fresh process each, beside the plain way to isolate an evaluation.

    python benchmarks/evaluator_cpu.py [--tasks IDS] [--rounds N] [--json]

Assay: the whole evaluation of starter candidates that are known to be fast, wrong, or the reference itself. Plain: a
new Python interpreter that imports torch, runs both programs once and times ten calls of each; no sandbox, no interval.
The two take turns, and an A/A column (Assay's first half of the rounds against its second) shows the machine's noise.
Calibration of a task's noise is made once a device, before the clock starts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from assay.core.records import Candidate, Task
from assay.evaluator.judge import Judge
from assay.tasks.starter_suite import solutions
from assay.tasks.suites import load_suite, select_tasks

TASKS = "plain_gelu,plain_softmax,plain_row_sum,one_hot_lookup,product_row_sums,cross_entropy_one_hot"
PLAIN = """
import sys, time, torch
reference, candidate = {}, {}
exec(sys.argv[1], reference)
exec(sys.argv[2], candidate)
torch.manual_seed(0)
one = reference["Model"](*reference["get_init_inputs"]())
other = candidate[sys.argv[3]](*reference["get_init_inputs"]())
inputs = reference["get_inputs"]()
with torch.no_grad():
    ok = torch.allclose(one(*inputs), other(*inputs), atol=1e-4, rtol=1e-4)
    for model in (one, other):
        for _ in range(10):
            started = time.perf_counter()
            model(*inputs)
"""


def main() -> None:
    """Runs both and prints a table, or one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    judge = Judge("cpu")
    rows = [
        measure(judge, task, options.rounds)
        for task in select_tasks(load_suite("starter"), options.tasks.split(","), None).tasks
    ]
    judge.close_now()
    ours = [seconds for row in rows for seconds in row.pop("assay_seconds")]
    theirs = [seconds for row in rows for seconds in row.pop("plain_seconds")]
    summary = {
        "tasks": rows,
        "assay_per_s": len(ours) / sum(ours),
        "plain_per_s": len(theirs) / sum(theirs),
        "ratio": statistics.median(theirs) / statistics.median(ours),
    }
    if options.json:
        print(json.dumps(summary, indent=1))
        return
    for row in rows:
        print(f"{row['task']:24} {row['reference_ms']:7.2f} ms  {row['assay_per_s']:5.1f}/s  A/A {row['aa']:.2f}")
    ours_per_s, theirs_per_s = summary["assay_per_s"], summary["plain_per_s"]
    print(f"Assay {ours_per_s:.1f} evaluations/s, plain {theirs_per_s:.2f}/s: {summary['ratio']:.1f}x")


def measure(judge: Judge, task: Task, rounds: int) -> dict:
    """One task: seconds of every evaluation by both ways, in turn."""
    known = solutions(task.id)
    programs = [(task.source, "Model"), *((source, "ModelNew") for source in known.wrong)]
    if known.fast and "cpp_extension" not in known.fast:
        programs.append((known.fast, "ModelNew"))
    first = judge.evaluate_now(task, Candidate(source=task.source), class_name="Model")  # calibrates
    ours: list[float] = []
    theirs: list[float] = []
    for index in range(rounds):
        for source, class_name in programs:
            # a comment makes it another program: nothing is remembered from the round before
            ours.append(judge.evaluate_now(task, Candidate(source=f"{source}\n# {index}"), class_name).seconds)
            started = time.monotonic()
            subprocess.run(
                [sys.executable, "-c", PLAIN, task.source, source, class_name], capture_output=True, check=False
            )
            theirs.append(time.monotonic() - started)
    half = len(ours) // 2
    return {
        "task": task.id,
        "reference_ms": first.reference_ms,
        "assay_per_s": len(ours) / sum(ours),
        "aa": statistics.median(ours[:half]) / statistics.median(ours[half:]),
        "assay_seconds": ours,
        "plain_seconds": theirs,
    }


if __name__ == "__main__":
    main()
