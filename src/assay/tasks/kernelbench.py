"""KernelBench levels 1 to 4 (Ouyang et al. 2025, arXiv 2502.10517): from a local checkout, or from the hub data set.

Ids are the published problem ids ("12", never "012"), names are the stems of the published files. What an audit has
found against a problem (`kernelbench_audit.json`: suite -> scale -> id -> source hash, findings by rule) becomes its
warnings, where the source is the one that was audited.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from assay.core.errors import UsageError
from assay.core.records import Suite, Task
from assay.tasks.contract import check_contract, read_source
from assay.tasks.scaling import scale_task

LEVELS = (1, 2, 3, 4)
CHECKOUT_VARIABLE = "ASSAY_KERNELBENCH"
HUB_DATASET = "ScalingIntelligence/KernelBench"
AUDIT = Path(__file__).parent / "kernelbench_audit.json"


def load_kernelbench(level: int, scale: str = "default") -> Suite:
    """One level, ordered by problem id. The checkout that ASSAY_KERNELBENCH names goes before the hub data set."""
    checkout = os.environ.get(CHECKOUT_VARIABLE)
    problems = _from_checkout(Path(checkout), level) if checkout else _from_hub(level)
    findings = _findings(f"kernelbench/{level}", scale)
    tasks = []
    for number, name, source in sorted(problems):
        check_contract(source, f"KernelBench level {level}, {name}")
        task = Task(suite=f"kernelbench/{level}", id=str(number), name=name, source=source)
        tasks.append(_warned(scale_task(task, scale), findings))
    return Suite(name=f"kernelbench/{level}", tasks=tuple(tasks))


def _findings(suite: str, scale: str) -> dict[str, Any]:
    """Problem id -> {"hash", "assay", "kernelbench"}: the source's hash, and what was found by each rule."""
    document = json.loads(AUDIT.read_text(encoding="utf-8"))
    return document.get(suite, {}).get(scale, {}).get("tasks", {})


def _warned(task: Task, findings: dict[str, Any]) -> Task:
    found = findings.get(task.id)
    if found is None or found["hash"] != task.hash:
        return task
    return task.model_copy(update={"warnings": (*found["assay"], *found["kernelbench"])})


def _from_checkout(root: Path, level: int) -> list[tuple[int, str, str]]:
    """(problem id, name, source) of every file of a level."""
    folder = next((f for f in (root / "KernelBench" / f"level{level}", root / f"level{level}") if f.is_dir()), None)
    if folder is None:
        raise UsageError(
            f"{CHECKOUT_VARIABLE}={root}: no KernelBench/level{level} and no level{level} in it. "
            "Name the root of a KernelBench checkout, or the folder that holds level1 to level4."
        )
    problems = []
    for path in folder.glob("*.py"):
        numbered = re.match(r"(\d+)_", path.name)
        if numbered:
            problems.append((int(numbered.group(1)), path.stem, read_source(path)))
    if not problems:
        raise UsageError(f"{folder}: no problem file (12_name.py) in it. Restore the checkout: git checkout .")
    return problems


def _from_hub(level: int) -> list[tuple[int, str, str]]:
    """The same from the hub data set, whose columns are code, level, name and problem_id."""
    remedy = f"or set {CHECKOUT_VARIABLE} to a checkout of KernelBench."
    try:
        import datasets  # pyright: ignore[reportMissingImports]  # optional, and slow to import
    except ImportError:
        raise UsageError(
            f"kernelbench/{level} comes from the hub data set {HUB_DATASET}, and the package `datasets` is not "
            f"installed. Install it (pip install 'assay-lab[hub]'), {remedy}"
        ) from None
    try:
        rows = datasets.load_dataset(HUB_DATASET, split=f"level_{level}")
    except (OSError, ValueError) as error:  # unreachable, offline and not in the cache, or no such split
        first_line = str(error).partition("\n")[0]
        raise UsageError(
            f"kernelbench/{level}: the hub data set {HUB_DATASET} cannot be loaded ({first_line}). Go online (and "
            f"unset HF_HUB_OFFLINE) so that it can be fetched once, {remedy}"
        ) from None
    return [(int(row["problem_id"]), str(row["name"]).removesuffix(".py"), str(row["code"])) for row in rows]
