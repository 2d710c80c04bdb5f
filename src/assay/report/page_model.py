"""Everything that a report shows of one run or several, read from their stores: tables, facts, analysis and charts."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assay.core.errors import UsageError
from assay.report.analysis import Analysis, analyse
from assay.report.analysis_null import noise_table
from assay.report.analysis_runs import RunView, read_run
from assay.report.page_facts import RunFacts, headline, run_facts
from assay.report.probe import ProbeTable, probe_tables
from assay.report.tables import RunTables, run_tables
from assay.report.words import in_words
from assay.runs.pools import BOOTSTRAP_SEED
from assay.runs.store import PoolColumns, RunStore


@dataclass(frozen=True)
class ReportedRun:
    """One run. name: what the report calls it; words: what it supports. probes: of over-sharpening, if it was
    probed. view: None where nothing is evaluated yet.
    """

    name: str
    directory: Path
    config: dict[str, Any]
    tables: RunTables
    facts: RunFacts
    headline: str
    words: str
    columns: PoolColumns
    probes: tuple[ProbeTable, ...]
    view: RunView | None


@dataclass(frozen=True)
class Report:
    """analysis: of all runs that have evaluations, None where none has. noise: for each run what noise alone would have
    scored, in words; None where no identical copy was measured.
    """

    runs: tuple[ReportedRun, ...]
    analysis: Analysis | None
    noise: tuple[str | None, ...]

    def document(self) -> dict[str, Any]:
        """The document of `assay report --json`."""
        runs = [
            {
                "name": run.name,
                "headline": run.headline,
                "in_words": run.words,
                "noise_in_words": noise,
                "tables": run.tables.model_dump(mode="json"),
                "facts": run.facts.model_dump(mode="json"),
                "probes": [probe.model_dump(mode="json") for probe in run.probes],
            }
            for run, noise in zip(self.runs, self.noise, strict=True)
        ]
        return {"runs": runs, "analysis": None if self.analysis is None else self.analysis.model_dump(mode="json")}


def read_report(directories: Sequence[Path]) -> Report:
    """The report of runs, finished or not. UsageError for none, one named twice, or runs that do not mix."""
    if not directories:
        raise UsageError("Name at least one run directory to report.")
    if len({directory.resolve() for directory in directories}) < len(directories):
        raise UsageError("a run was named twice: a run is no evidence beside itself")
    with ExitStack() as stack:
        stores = [stack.enter_context(RunStore.open(directory)) for directory in directories]
        runs = tuple(_read(store, name) for store, name in zip(stores, _names(directories), strict=True))
    views = [run.view for run in runs if run.view is not None]
    return Report(runs, analyse(views) if views else None, tuple(map(_noise, runs)))


def _noise(run: ReportedRun) -> str | None:
    if run.view is None or not set(run.view.controls) & set(run.view.pool.task_keys):
        return None
    return noise_table(run.view, np.random.default_rng(BOOTSTRAP_SEED)).in_words


def _read(store: RunStore, name: str) -> ReportedRun:
    tables, columns = run_tables(store), store.pool_columns()
    is_judged = any(status is not None for status in columns.status)
    return ReportedRun(
        name=name,
        directory=store.directory,
        config=dict(store.config),
        tables=tables,
        facts=run_facts(store),
        headline=headline(tables),
        words=in_words(tables),
        columns=columns,
        probes=probe_tables(store.directory),
        view=replace(read_run(store), name=name) if is_judged else None,
    )


def _names(directories: Sequence[Path]) -> list[str]:
    """The last part of each path, and more of it where two are alike."""
    parts = [directory.resolve().parts for directory in directories]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts) and depth < max(map(len, parts)):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]
