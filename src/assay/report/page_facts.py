"""Facts of a run that its page shows beside the tables: the funnel, what the judge flagged, and its noise by task."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from assay.core.records import Evaluation, Record, Status, Verdict
from assay.report.tables import RunTables
from assay.runs.schema import Purpose
from assay.runs.store import PoolColumns, RunStore
from assay.stats.intervals import clopper_pearson


class FunnelStage(Record):
    """How many samples came as far as `stage`; share: of all samples that were judged, None where none was."""

    stage: str
    samples: int
    share: float | None


class TaskNoise(Record):
    """The noise of one task's measurements, over `evaluations` correct programs at their first look.

    margin: median relative margin that intervals were held against; minimal_effect: median of the smallest true gain
    that would have been called faster, None where it is not known. copies, copies_faster, copies_raw: identical copies
    of the reference with a speedup, those with the verdict `faster`, those with a point estimate above 1.
    """

    task: str
    evaluations: int
    margin: float | None
    minimal_effect: float | None
    copies: int
    copies_faster: int
    copies_raw: int


class Flagged(Record):
    """How many programs the judge gave a flag."""

    flag: str
    programs: int
    tasks: int


class RunFacts(Record):
    """What a page needs beside the tables. waiting: samples without an evaluation.

    settings: dotted key and value of the resolved configuration. sessions: of the manifest, as (fact, value) pairs.
    sandbox: tiers, with the number of evaluations that had them.
    """

    settings: tuple[tuple[str, str], ...]
    sessions: tuple[tuple[tuple[str, str], ...], ...]
    seed: int | None
    funnel: tuple[FunnelStage, ...]
    waiting: int
    statuses: tuple[tuple[str, int], ...]
    flags: tuple[Flagged, ...]
    noise: tuple[TaskNoise, ...]
    sandbox: tuple[tuple[str, int], ...]
    devices: tuple[str, ...]
    evaluators: tuple[str, ...]


def run_facts(store: RunStore) -> RunFacts:
    """The facts of a run, finished or not."""
    columns, config = store.pool_columns(), store.config
    looks, controls = store.evaluations(Purpose.SEARCH), store.evaluations(Purpose.CONTROL)
    everything = [*looks, *controls, *store.evaluations(Purpose.SELECTED)]
    judged = [status for status in columns.status if status is not None]
    seed = config.get("seed")
    return RunFacts(
        settings=tuple(_flat(config)),
        sessions=_sessions(store.directory / "manifest.json"),
        seed=seed if isinstance(seed, int) else None,
        funnel=funnel(columns),
        waiting=len(columns.status) - len(judged),
        statuses=tuple(Counter(judged).most_common()),
        flags=_flags(everything),
        noise=tuple(_noise(task.key, looks, controls) for task in store.tasks()),
        sandbox=tuple(Counter(tier for one in everything for tier in one.provenance.sandbox).most_common()),
        devices=tuple(dict.fromkeys(one.provenance.device for one in everything)),
        evaluators=tuple(dict.fromkeys(one.provenance.evaluator for one in everything)),
    )


def funnel(columns: PoolColumns) -> tuple[FunnelStage, ...]:
    """Sampled, parsed, built, ran, correct, verified faster, over the samples that were judged.

    A program that broke a rule (`rejected`) or gave another output counts as one that ran.
    """
    status = [one for one in columns.status if one is not None]
    stopped_before = {
        "parsed": {Status.PARSE_ERROR},
        "built": {Status.PARSE_ERROR, Status.BUILD_ERROR},
        "ran": {Status.PARSE_ERROR, Status.BUILD_ERROR, Status.RUNTIME_ERROR, Status.TIMEOUT},
    }
    counts = {"sampled": len(status)}
    counts |= {stage: sum(one not in failed for one in status) for stage, failed in stopped_before.items()}
    counts["correct"] = sum(one == Status.CORRECT for one in status)
    counts["verified faster"] = sum(one == Verdict.FASTER for one in columns.verdict)
    return tuple(
        FunnelStage(stage=stage, samples=n, share=n / len(status) if status else None) for stage, n in counts.items()
    )


def headline(tables: RunTables) -> str:
    """What the run supports, in one sentence."""
    lines = [line for line in tables.tasks if line.samples]
    if not lines:
        return "Nothing was sampled, so nothing can be said."
    wins = sum(line.is_win for line in lines)
    interval = clopper_pearson(wins, len(lines))
    known = f" (95% interval {interval.low:.0%} to {interval.high:.0%})" if interval else ""
    controls = [one for line in tables.tasks for one in line.controls]
    called = sum(one.verdict is Verdict.FASTER for one in controls)
    copies = f"of {len(controls)} identical copies, {called or 'none'} {'was' if called < 2 else 'were'} called faster"
    if not controls:
        copies = "no identical copy was measured, so the noise is not shown"
    tasks = f"{wins} of {len(lines)} {'task' if len(lines) == 1 else 'tasks'}"
    return f"On {tasks}{known} a program is faster than the reference, and faster again when measured afresh; {copies}."


# -- parts ------------------------------------------------------------------------------------------------------


def _flags(evaluations: Sequence[Evaluation]) -> tuple[Flagged, ...]:
    found: dict[str, set[tuple[str, str | None]]] = {}
    for one in evaluations:
        for flag in one.flags:
            found.setdefault(flag, set()).add((one.task_key, one.candidate_hash))
    rows = (
        Flagged(flag=flag, programs=len(places), tasks=len({task for task, _ in places}))
        for flag, places in found.items()
    )
    return tuple(sorted(rows, key=lambda row: (-row.programs, row.flag)))


def _noise(key: str, looks: Iterable[Evaluation], controls: Iterable[Evaluation]) -> TaskNoise:
    speedups = [one.speedup for one in looks if one.task_key == key and one.speedup is not None]
    effects = [one.minimal_effect for one in speedups if one.minimal_effect is not None]
    copies = [one for one in controls if one.task_key == key and one.speedup is not None]
    return TaskNoise(
        task=key,
        evaluations=len(speedups),
        margin=median(one.margin for one in speedups) if speedups else None,
        minimal_effect=median(effects) if effects else None,
        copies=len(copies),
        copies_faster=sum(one.is_verified_faster for one in copies),
        copies_raw=sum(one.speedup is not None and one.speedup.raw > 1 for one in copies),
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield f"{prefix}{key}", shown


def _sessions(path: Path) -> tuple[tuple[tuple[str, str], ...], ...]:
    """The sessions of a manifest; empty where none can be read: it is a note, and no page fails for it."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    sessions = manifest.get("sessions", []) if isinstance(manifest, dict) else []
    return tuple(tuple(_session(one)) for one in sessions if isinstance(one, dict))


def _session(session: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for key, value in session.items():
        if key == "argv" and isinstance(value, list):
            yield "command", " ".join(map(str, value))
        elif isinstance(value, Mapping):
            yield key, ", ".join(f"{name} {part}" for name, part in value.items() if part is not None)
        elif value is not None:
            yield key, str(value)
