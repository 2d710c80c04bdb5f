"""A thousand hostile candidates in a row through one judge, with honest ones between them.

    python benchmarks/hostile_candidates.py --out results.json [--count 1000] [--device cpu]

The candidates are the red-team suite's cheats that end, exhaust, flood, signal, forge or leave something behind. What
must hold afterwards: the judge answers, no process, scratch folder, descriptor or memory is left over, and the honest
candidates got the verdicts and, within noise, the ratios that they get alone.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

from assay.core.records import Evaluation
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.processes import descendants
from assay.evaluator.redteam.suite import load_redteam

HOSTILE_KINDS = ("exit", "resource", "signal", "persist", "forge", "network")
HOSTILE_ON_CUDA = ("cuda_illegal_access", "cuda_device_assert", "cuda_device_reset", "cuda_memory_hog")
HONEST_EVERY = 25


def main() -> None:
    """Runs the candidates and writes what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    cases = [
        case
        for case in load_redteam(options.device)
        if (case.kind in HOSTILE_KINDS and case.needs == "cpu") or case.name in HOSTILE_ON_CUDA
    ]
    honest = next(case for case in load_redteam(options.device) if case.name == "zeros")
    config = EvaluatorConfig(call_timeout_s=1.5, load_timeout_s=6.0, memory_mb=1024, file_mb=16)
    tempfile.tempdir = tempfile.mkdtemp(prefix="hostile-")  # so that what is left there is ours
    before = state_of_machine()
    judge = Judge(options.device, config)
    alone = [judge.evaluate_now(honest.reference, honest.twin) for _ in range(5)]
    settled = state_of_machine()
    started = time.monotonic()
    statuses: Counter[str] = Counter()
    missed, between = [], []
    for number, case in enumerate(itertools.islice(itertools.cycle(cases), options.count)):
        found = judge.evaluate_now(case.reference, case.cheat)
        statuses[str(found.status)] += 1
        if not case.is_caught(found):
            missed.append(case.name)
        if number % HONEST_EVERY == HONEST_EVERY - 1:
            between.append(judge.evaluate_now(honest.reference, honest.twin))
            print(
                f"{number + 1}: {time.monotonic() - started:.0f} s, {between[-1].status}", file=sys.stderr, flush=True
            )
    worked = state_of_machine()
    judge.close_now()
    after = state_of_machine()
    results = {
        "environment": {
            "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(),
            "cores": len(os.sched_getaffinity(0)),
            "torch": torch.__version__,
            "python": platform.python_version(),
            "date": time.strftime("%Y-%m-%d"),
        },
        "argv": sys.argv,
        "candidates": options.count,
        "programs": len(cases),
        "seconds": time.monotonic() - started,
        "statuses": dict(statuses),
        "missed": missed,
        "honest_alone": [summary(found) for found in alone],
        "honest_between": [summary(found) for found in between],
        "before": before,
        "settled": settled,
        "worked": worked,
        "after": after,
    }
    options.out.write_text(json.dumps(results, indent=1) + "\n")


def summary(found: Evaluation) -> dict[str, object]:
    """Status, verdict and ratio of an honest candidate."""
    speedup = found.speedup
    return {"status": found.status, "verdict": found.verdict, "ratio": speedup.ratio if speedup else None}


def state_of_machine() -> dict[str, int]:
    """What must not grow: our processes, scratch folders, open descriptors, shared memory, memory of the judge."""
    return {
        "processes": len(descendants(os.getpid())),
        "scratch_folders": len(list(Path(tempfile.gettempdir()).iterdir())),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "shared_memory_files": len(list(Path("/dev/shm").iterdir())),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "gpu_used_mb": gpu_used_mb(),
    }


def gpu_used_mb() -> int:
    """Device memory in use by everybody; 0 without a GPU."""
    if not torch.cuda.is_available():
        return 0
    free, total = torch.cuda.mem_get_info()
    return (total - free) >> 20


if __name__ == "__main__":
    main()
