"""The evaluator on a GPU: A/A, power and red-team controls, and its speed beside KernelBench's own evaluation.

    ASSAY_KERNELBENCH=CHECKOUT python benchmarks/evaluator_h100.py --out results.json --sections aa,power,redteam,speed

Speed: for each task the identical candidate is evaluated by `eval_kernel_against_ref`, in this process, and by Assay
with full isolation, with the same number of timed calls of reference and candidate, in turn. Calibration of a task's
A/A noise is made once a device and is reported apart.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from assay.core.records import Candidate, Evaluation, Task
from assay.evaluator.audit import audit_aa, audit_power, audit_redteam
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.redteam.suite import RedTeamCase
from assay.tasks.suites import load_suite, select_tasks

TASKS = "12,14,15,18,3,95,40,47,28,23,30,36"
POWER_TASKS = "14,18,40"


class RecordingJudge(Judge):
    """Keeps a row for every evaluation."""

    def __init__(self, config: EvaluatorConfig | None = None) -> None:
        super().__init__("cuda", config)
        self.rows: list[dict] = []

    def evaluate_now(self, task: Task, candidate: Candidate, *arguments: Any, **options: Any) -> Evaluation:
        """As the judge's own."""
        found = super().evaluate_now(task, candidate, *arguments, **options)
        row = {"task": task.key, "status": found.status, "verdict": found.verdict, "flags": found.flags}
        row |= {"error": found.error[:200], "seconds": round(found.seconds, 3), "reference_ms": found.reference_ms}
        if found.speedup is not None:
            row |= {name: round(value, 5) for name, value in found.speedup.model_dump().items() if value is not None}
        facts = found.provenance.facts
        row["stage_s"] = {name: round(value, 3) for name, value in facts["stage_s"].items()}
        self.rows.append(row | {"witness": facts.get("witness")})
        return found


def main() -> None:
    """Runs the sections asked for; what is known is written after every line of progress."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sections", default="aa,power,redteam,speed")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--power-tasks", default=POWER_TASKS)
    parser.add_argument("--aa-trials", type=int, default=300)
    parser.add_argument("--power-trials", type=int, default=10)
    parser.add_argument("--speed-repeats", type=int, default=1)
    parser.add_argument("--redteam", choices=("cuda", "all"), default="all", help="cuda: only what needs a GPU")
    parser.add_argument("--cases", help="of the red team, by name, separated by commas; all of them if left out")
    options = parser.parse_args()
    suite = load_suite("kernelbench/1")
    tasks = select_tasks(suite, options.tasks.split(","), None).tasks
    judge = RecordingJudge(EvaluatorConfig(settle=True))
    results: dict[str, Any] = {"environment": environment(), "argv": sys.argv, "log": []}

    def report(line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        results["log"].append(line)
        results[f"{section}_evaluations"] = list(judge.rows)
        options.out.write_text(json.dumps(results, indent=1) + "\n")

    for section in options.sections.split(","):
        judge.rows.clear()
        began = time.monotonic()
        if section == "aa":
            found, tiers = audit_aa(judge, tasks, options.aa_trials, report)
            results |= {"aa": found.model_dump(), "sandbox": tiers}
        elif section == "power":
            chosen = select_tasks(suite, options.power_tasks.split(","), None).tasks
            found = audit_power(judge, chosen, (0.02,), options.power_trials, report)
            results["power"] = [row.model_dump() for row in found]
        elif section == "redteam":
            results["redteam"], judge.rows = redteam(options.redteam, options.cases, report)
        elif section == "speed":
            results["speed"] = []
            for task in tasks:
                results["speed"].append(compare_speed(judge, task, options.speed_repeats, report))
                options.out.write_text(json.dumps(results, indent=1) + "\n")
        results[f"{section}_seconds"] = time.monotonic() - began
        results[f"{section}_evaluations"] = list(judge.rows)
        options.out.write_text(json.dumps(results, indent=1) + "\n")
    judge.close_now()


def redteam(which: str, names: str | None, report: Callable[[str], None]) -> tuple[dict, list[dict]]:
    """The red team before a judge of its own, with less patience for programs that hang; also every evaluation."""
    judge = RecordingJudge(EvaluatorConfig(call_timeout_s=4.0))

    def is_wanted(case: RedTeamCase) -> bool:
        return case.name in names.split(",") if names else which == "all" or case.needs == "cuda"

    found = audit_redteam(judge, report, wanted=is_wanted)
    judge.close_now()
    return found.model_dump(), judge.rows


def environment() -> dict[str, str]:
    """Device, driver and versions."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    driver = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "device": torch.cuda.get_device_name(),
        "driver": driver,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "date": time.strftime("%Y-%m-%d"),
    }


def compare_speed(judge: Judge, task: Task, repeats: int, report: Callable[[str], None]) -> dict:
    """Wall seconds of one evaluation of the identical candidate by both, and the stages of ours."""
    source = task.source.replace("class Model(", "class ModelNew(").replace("super(Model,", "super(ModelNew,")
    pairs = EvaluatorConfig().pairs
    first = judge.evaluate_now(task, Candidate(source=source))  # calibrates
    ours, theirs, stages = [], [], []
    calls = pairs
    for _ in range(repeats):
        found = judge.evaluate_now(task, Candidate(source=source))
        ours.append(found.seconds)
        stages.append(found.provenance.facts["stage_s"])
        calls = found.timed_calls or pairs
        theirs.append(kernelbench_seconds(task.source, source, calls))
        torch.cuda.empty_cache()
    row = {
        "task": task.id,
        "reference_ms": first.reference_ms,
        "status": first.status,
        "error": first.error[:500],
        "first_stage_s": first.provenance.facts["stage_s"],
        "assay_s": statistics.median(ours),
        "kernelbench_s": statistics.median(theirs),
        "stage_s": stages[-1],
        "timed_calls": calls,
    }
    report(f"speed {task.key}: {row['assay_s']:.2f} s, KernelBench {row['kernelbench_s']:.2f} s")
    return row


def kernelbench_seconds(reference: str, candidate: str, calls: int) -> float:
    """Wall seconds of KernelBench's evaluation in this process, with `calls` timed calls of each side."""
    evaluation = _kernelbench_module("kernelbench.eval")
    started = time.monotonic()
    evaluation.eval_kernel_against_ref(
        reference,
        candidate,
        num_correct_trials=EvaluatorConfig().correctness_trials,
        num_perf_trials=calls,
        measure_performance=True,
        device=torch.device("cuda:0"),
    )
    return time.monotonic() - started


def _kernelbench_module(name: str) -> types.ModuleType:
    """Imports from the checkout; packages that its evaluation does not use are replaced by empty ones where missing."""
    source = str(Path(os.environ["ASSAY_KERNELBENCH"]) / "src")
    if source not in sys.path:
        sys.path.insert(0, source)
    for unused in ("dotenv", "openai", "litellm", "datasets"):
        try:
            importlib.import_module(unused)
        except ImportError:
            empty = types.ModuleType(unused)
            empty.__getattr__ = lambda _name: lambda *_args, **_options: None  # type: ignore[method-assign]
            sys.modules[unused] = empty
    return importlib.import_module(name)


if __name__ == "__main__":
    main()
