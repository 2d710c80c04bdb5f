"""All charts of a report, section by section; a chart exists only where its data do."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from assay.report.charts_adaptation import (
    AdaptedRun,
    probe_chart,
    sharpening_charts,
    task_trajectory_chart,
    trajectory_chart,
)
from assay.report.charts_base import Chart
from assay.report.charts_between import DistilledRun, feedback_chart, regime_chart
from assay.report.charts_run import anatomy_chart, ledger_charts
from assay.report.charts_search import (
    funnel_chart,
    quartile_chart,
    scaling_chart,
    speed_curve_chart,
    surprisal_chart,
)
from assay.report.charts_selectors import selector_charts
from assay.report.charts_trust import control_chart, noise_chart, winner_chart
from assay.report.page_model import Report, ReportedRun


def report_charts(report: Report) -> dict[str, tuple[Chart, ...]]:
    """Charts by section of the page; a section without any is left out."""
    sections: dict[str, Iterable[Chart | None]] = {
        "results": [winner_chart({run.name: run.tables for run in report.runs})],
        "run": [anatomy_chart(report.runs[0].tables, report.runs[0].tables.strategy)],
        "funnel": [funnel_chart({run.name: run.facts.funnel for run in report.runs if run.view is not None})],
    }
    if report.analysis is not None:
        sections |= _analysis_charts(report)
    sections["trust"] = [
        control_chart({run.name: run.tables for run in report.runs}),
        noise_chart({run.name: run.facts.noise for run in report.runs}),
    ]
    found = {name: tuple(chart for chart in charts if chart is not None) for name, charts in sections.items()}
    return {name: charts for name, charts in found.items() if any(chart.rows for chart in charts)}


def _analysis_charts(report: Report) -> dict[str, Iterable[Chart | None]]:
    found = report.analysis
    assert found is not None
    first = next(run for run in report.runs if run.view is not None)
    adapted = _adapted(report)
    return {
        "scaling": [scaling_chart(found), speed_curve_chart(found)],
        "selectors": selector_charts(found),
        "surprisal": [surprisal_chart(first.name, first.columns, found), quartile_chart(found)],
        "adaptation": [trajectory_chart(adapted), task_trajectory_chart(adapted)],
        "feedback": [feedback_chart(_distilled(report.runs, adapted))],
        "regime": [regime_chart(found)],
        "sharpening": [probe_chart({run.name: run.probes for run in report.runs}), *sharpening_charts(adapted)],
        "ledger": ledger_charts(found.compute),
    }


def _adapted(report: Report) -> list[AdaptedRun]:
    tables = {table.run: table for table in report.analysis.rounds} if report.analysis else {}
    return [
        AdaptedRun(run.name, run.facts.seed, run.view.pool, tables[run.name])
        for run in report.runs
        if run.view is not None and run.name in tables
    ]


def _distilled(runs: Sequence[ReportedRun], adapted: Sequence[AdaptedRun]) -> list[DistilledRun]:
    tables = {run.name: run for run in adapted}
    found = []
    for run in runs:
        mode = teacher_mode(run.config)
        if mode is not None and run.name in tables:
            found.append(DistilledRun(run.name, mode, run.facts.seed, tables[run.name].table))
    return found


def teacher_mode(config: Mapping[str, Any]) -> str | None:
    """What the teacher of a run of self-distillation is shown, by its stored configuration; None for other runs."""
    strategy = config.get("strategy")
    if not isinstance(strategy, dict) or strategy.get("type") != "sdpo":
        return None
    return str(strategy.get("teacher", "not recorded"))
