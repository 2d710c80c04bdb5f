"""Charts of runs held against each other: where a second run pays, and what feedback adds to self-distillation."""

from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt

from assay.report.analysis import Analysis
from assay.report.analysis_rounds import RoundsTable
from assay.report.charts_base import (
    BLUE,
    ORANGE,
    SHARES,
    Cell,
    Chart,
    Column,
    at,
    colours,
    drawing,
    rows_of,
    shapes,
)

REGIME_COLUMNS = (
    Column("run", "second run"),
    Column("task", "task"),
    Column("coverage", "coverage", "share"),
    Column("base", "first run, odd samples", "share"),
    Column("second", "second run", "share"),
    Column("benefit", "benefit", "share"),
)
FEEDBACK_COLUMNS = (
    Column("run", "run"),
    Column("mode", "teacher"),
    Column("seed", "seed"),
    Column("verified", "verified", "share"),
    Column("raw", "raw rule", "share"),
    Column("correct", "correct", "share"),
    Column("samples", "samples", "count"),
)


def regime_chart(found: Analysis) -> Chart | None:
    """Benefit of each further run over the first, by task, against how often the first run succeeds there."""
    tables = [table for table in found.regime if table.rule == "verified" and table.tasks]
    rows: list[tuple[Cell, ...]] = [
        (table.second, task.task, task.coverage, task.base, task.second, task.benefit)
        for table in tables
        for task in table.tasks
    ]
    if not rows:
        return None
    names = list(dict.fromkeys(str(row[0]) for row in rows))
    legend = None if len(names) == 1 else alt.Legend(title=None)
    reach = max(0.1, *(abs(task.benefit) * 1.1 for table in tables for task in table.tasks))
    points = (
        rows_of()
        .mark_point(size=90, opacity=0.85)
        .encode(
            x=alt.X(
                "coverage:Q",
                title="coverage: the first run's success (even samples)",
                axis=SHARES,
                scale=alt.Scale(domain=[0, 1], padding=8),
            ),
            y=alt.Y(
                "benefit:Q",
                title="benefit over its odd samples",
                axis=alt.Axis(format="+.0%"),
                scale=alt.Scale(domain=[-reach, reach]),
            ),
            color=alt.Color("run:N", scale=colours(names, (ORANGE, BLUE)), legend=legend),
            shape=alt.Shape("run:N", scale=shapes(names), legend=legend),
            tooltip=[
                alt.Tooltip("run:N"),
                alt.Tooltip("task:N"),
                alt.Tooltip("coverage:Q", format=".1%"),
                alt.Tooltip("benefit:Q", format="+.1%"),
            ],
        )
    )
    return Chart(
        id="regime",
        title="Benefit by coverage, task by task",
        caption=(
            "One point a task. Coverage and benefit are taken from different halves of the first run's samples, since"
            " a task that was lucky would otherwise show high coverage and low benefit by chance alone. "
            + " ".join(table.in_words for table in tables)
        ),
        columns=REGIME_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(0.0, "y"), points),
        height=280,
    )


@dataclass(frozen=True)
class DistilledRun:
    """A run of self-distillation: its teacher's mode, its seed, and its rounds."""

    name: str
    mode: str
    seed: int | None
    table: RoundsTable


def feedback_chart(runs: Sequence[DistilledRun]) -> Chart | None:
    """Self-distillation by what the teacher is shown: the last round of each run, runs of one seed joined."""
    rows: list[tuple[Cell, ...]] = [
        (run.name, run.mode, run.seed, row.fast_1_verified, row.fast_1_raw, row.correct, row.samples)
        for run in runs
        for row in run.table.rows[-1:]
    ]
    if not rows:
        return None
    modes = sorted({str(row[1]) for row in rows}, key=lambda mode: (mode != "prompt-only", mode))
    seeds = list(dict.fromkeys(str(row[2]) for row in rows))
    x = alt.X("mode:N", sort=modes, title="what the teacher is shown", axis=alt.Axis(labelAngle=0))
    y = alt.Y("verified:Q", title="samples verified faster", axis=alt.Axis(format="%"), scale=alt.Scale(domainMin=0))
    legend = alt.Legend(title="seed")
    color = alt.Color("seed:N", scale=colours(seeds), legend=legend)
    lines = rows_of().mark_line(opacity=0.6).encode(x=x, y=y, color=color, detail="seed:N")
    points = (
        rows_of()
        .mark_point(size=90)
        .encode(
            x=x,
            y=y,
            color=color,
            shape=alt.Shape("seed:N", scale=shapes(seeds), legend=legend),
            tooltip=[alt.Tooltip("run:N"), alt.Tooltip("mode:N"), alt.Tooltip("verified:Q", format=".1%")],
        )
    )
    return Chart(
        id="feedback",
        title="Feedback against the prompt alone",
        caption=(
            "Share of verified samples in the last round of each run of self-distillation, by what its teacher is"
            " shown; runs of one seed are joined."
        ),
        columns=FEEDBACK_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(lines, points),
        height=260,
    )
