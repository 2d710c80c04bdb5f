"""Keeps the findings on KernelBench's tasks: from `assay tasks --audit --json` to the package's data and the document.

    assay tasks kernelbench/1 --scale small --audit --json > small.json
    assay tasks kernelbench/1 --audit --device cuda --json > h100.json
    python benchmarks/kernelbench_audit.py small.json h100.json

All files of one suite and scale (`--offset` and `--limit` cut an audit into parts) replace what the data has of it;
other suites and scales stay as they are. The document is written from the data alone, so it can be written again with
no file.
"""

import json
import sys
from pathlib import Path
from typing import Any

from assay.evaluator.task_audit import TaskAudit
from assay.tasks.kernelbench import AUDIT

DOCUMENT = Path(__file__).parents[1] / "docs" / "kernelbench-audit.md"
DERIVED = ("is_fit", "is_below_noise_floor", "warnings", "published_warnings")
HEAD = """# KernelBench's tasks, audited

`assay tasks SUITE --audit` puts answers that know nothing to each task: zeros, a constant (the mean of another
trial's output), another trial's whole output, and a copy of each input that has the output's size.

A task is **unfit** if the judge takes one of them for correct in every trial, on inputs of the task's own distribution
and of a second one, or if its output is the same whatever the inputs, or differs from call to call. The audit also says

- which of those answers KernelBench's published tolerances take for correct (atol = rtol = 1e-4, own inputs only),
- which inputs no output depends on, and which tasks do not fit into the device's memory,
- which references take less than 20 us a call (warm caches, in the audit's process), where the judge's second clock
  sees nothing.

Runs and evaluations warn when they use a task that has a finding. Findings belong to the source that was audited: a
problem whose text or scale differs has none.
"""
TAIL = """
To add or renew a list, run the audit where the tasks are to be used, then write data and this document from it:

```
assay tasks kernelbench/1 --audit --device cuda --json > full.json
python benchmarks/kernelbench_audit.py full.json
```
"""


def main() -> None:
    data = json.loads(AUDIT.read_text())
    audits: dict[tuple[str, str], list[TaskAudit]] = {}
    for path in sys.argv[1:]:
        for one in json.loads(Path(path).read_text()):
            audit = TaskAudit.model_validate(_stored(one))
            audits.setdefault(_place(audit), []).append(audit)
    for (suite, scale), found in audits.items():
        data.setdefault(suite, {})[scale] = _entry(found)
    AUDIT.write_text(json.dumps(data, indent=1) + "\n")
    DOCUMENT.parent.mkdir(exist_ok=True)
    sections = [
        _section(suite, scale, found) for suite, scales in sorted(data.items()) for scale, found in scales.items()
    ]
    DOCUMENT.write_text("\n".join([HEAD, *sections, TAIL.lstrip("\n")]))


def _stored(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in DERIVED}


def _place(audit: TaskAudit) -> tuple[str, str]:
    """Suite and scale of a task key (`kernelbench/1/4@small`)."""
    place, _, scale = audit.task_key.partition("@")
    return place.rpartition("/")[0], scale or "default"


def _id(audit: TaskAudit) -> str:
    return audit.task_key.partition("@")[0].rpartition("/")[2]


def _entry(found: list[TaskAudit]) -> dict[str, Any]:
    """What is kept: the counts, and of each task with a finding its hash and the findings by rule.

    A reference that did not run says something of the machine (a package that it lacks), so that is no finding.
    """
    audits = [audit for audit in found if audit.problem != "does_not_run"]
    tasks = {
        _id(audit): {
            "hash": audit.task_hash,
            "assay": list(audit.warnings),
            "kernelbench": list(audit.published_warnings),
        }
        for audit in audits
        if audit.warnings or audit.published_warnings
    }
    times = sorted(audit.call_us / 1e3 for audit in audits if audit.call_us is not None)
    return {
        "device": found[0].device,
        "audited": len(audits),
        "fit": sum(audit.is_fit for audit in audits),
        "without_other_distribution": sum(audit.has_other_distribution is False for audit in audits),
        "call_ms": {"least": times[0], "median": times[len(times) // 2], "most": times[-1]} if times else None,
        "not_run": {_id(audit): audit.error for audit in found if audit.problem == "does_not_run"},
        "tasks": tasks,
    }


def _section(suite: str, scale: str, found: dict[str, Any]) -> str:
    published = sum(bool(one["kernelbench"]) for one in found["tasks"].values())
    lines = [
        f"## {suite}, {'published sizes' if scale == 'default' else f'scale {scale}'}, on {found['device']}",
        "",
        f"{found['fit']} of {found['audited']} tasks are fit; in {published} the published rule accepts what the judge"
        f" rejects. {found['without_other_distribution']} have no second distribution that keeps the reference finite.",
    ]
    if found["call_ms"]:
        least, median, most = (found["call_ms"][name] for name in ("least", "median", "most"))
        lines[-1] += f" A call of the reference takes {least:.3g} to {most:.3g} ms, {median:.3g} ms at the median."
    for number, error in found["not_run"].items():
        lines[-1] += f" Problem {number} did not run there ({error.rpartition('run: ')[2]}) and is not counted."
    lines += ["", "| problem | finding |", "|---|---|"]
    for number, one in found["tasks"].items():
        lines.append(f"| {number} | {'; '.join((*one['assay'], *one['kernelbench']))} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
