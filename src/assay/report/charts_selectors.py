"""Charts of selectors: what their picks are worth, by success and by speed."""

from collections.abc import Sequence

import altair as alt

from assay.report.analysis import Analysis
from assay.report.charts_base import (
    BLUE,
    INK,
    ORANGE,
    SHARES,
    Cell,
    Chart,
    Column,
    at,
    colours,
    drawing,
    log_axis,
    rows_of,
    shapes,
)

SELECTORS_COLUMNS = (
    Column("selector", "selector"),
    Column("rule", "rule"),
    Column("value", "tasks solved", "share"),
    Column("low", "low", "share"),
    Column("high", "high", "share"),
    Column("timed", "samples timed", "count"),
)
SELECTORS_SPEEDUP_COLUMNS = (
    Column("selector", "selector"),
    Column("speedup", "geometric mean", "ratio"),
    Column("mean", "arithmetic mean", "ratio"),
    Column("tasks", "tasks", "count"),
    Column("timed", "samples timed", "count"),
)


def selector_charts(found: Analysis) -> tuple[Chart, Chart]:
    """What each selector's picks are worth: success by both rules, and speedup."""
    success: list[tuple[Cell, ...]] = []
    speed: list[tuple[Cell, ...]] = []
    for row in found.selectors.rows:
        outcome, interval = row.outcome, row.outcome.interval
        ends = (None, None) if interval is None else (interval.low, interval.high)
        success.append((row.selector, "verified", outcome.fast_1_verified, *ends, outcome.timing_runs))
        success.append((row.selector, "raw rule", outcome.fast_1_raw, None, None, outcome.timing_runs))
        if outcome.geomean_speedup is not None:
            counts = (outcome.tasks_with_speedup, outcome.timing_runs)
            speed.append((row.selector, outcome.geomean_speedup, outcome.mean_speedup, *counts))
    names = [row.selector for row in found.selectors.rows]
    return _success_chart(success, names, found), _speed_chart(speed, names)


def _success_chart(rows: Sequence[tuple[Cell, ...]], names: Sequence[str], found: Analysis) -> Chart:
    rules = ["verified", "raw rule"]
    y = alt.Y("selector:N", sort=list(names), title=None)
    x = alt.X("value:Q", title="tasks solved", axis=SHARES, scale=alt.Scale(domain=[0, 1], padding=4))
    legend = alt.Legend(title=None)
    spans = rows_of().mark_rule(color=BLUE, strokeWidth=2, opacity=0.5).encode(y=y, x=alt.X("low:Q"), x2="high:Q")
    dots = (
        rows_of()
        .mark_point(size=80)
        .encode(
            y=y,
            x=x,
            color=alt.Color("rule:N", scale=colours(rules, (BLUE, ORANGE)), legend=legend),
            shape=alt.Shape("rule:N", scale=shapes(rules), legend=legend),
            tooltip=[
                alt.Tooltip("selector:N"),
                alt.Tooltip("rule:N"),
                alt.Tooltip("value:Q", format=".1%"),
                alt.Tooltip("low:Q", format=".1%"),
                alt.Tooltip("high:Q", format=".1%"),
                alt.Tooltip("timed:Q", title="samples timed"),
            ],
        )
    )
    return Chart(
        id="selectors",
        title="What each selector keeps",
        caption=(
            f"Share of tasks whose kept sample is fast, of {found.selectors.samples_per_task} or more samples a task,"
            " with a 95% interval over tasks for the verdict. The oracle and the top-m selectors choose by the very"
            " measurements that are shown."
        ),
        columns=SELECTORS_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(spans, dots),
        height=max(160, 26 * len(names)),
    )


def _speed_chart(rows: Sequence[tuple[Cell, ...]], names: Sequence[str]) -> Chart:
    kept = [name for name in names if any(row[0] == name for row in rows)]
    values = [float(row[1]) for row in rows if isinstance(row[1], float)]
    y = alt.Y("selector:N", sort=kept, title=None)
    scale = log_axis([*values, max([1.0, *values]) * 1.1, min([1.0, *values]) / 1.1])
    x = alt.X("speedup:Q", title="speedup of the kept sample (geometric mean)", scale=scale, axis=alt.Axis(format="~g"))
    dots = rows_of().mark_point(size=80, color=BLUE).encode(y=y, x=x)
    stems = rows_of().mark_rule(color=BLUE, opacity=0.5, strokeWidth=2).encode(y=y, x=x, x2=alt.datum(1.0))
    text = alt.Text("speedup:Q", format=".2f")
    faster = rows_of().transform_filter("datum.speedup >= 1").mark_text(align="left", dx=9, color=INK)
    slower = rows_of().transform_filter("datum.speedup < 1").mark_text(align="right", dx=-9, color=INK)
    labels = [side.encode(y=y, x=x, text=text) for side in (faster, slower)]
    return Chart(
        id="selectors-speedup",
        title="Speedup of what each selector keeps",
        caption=(
            "Geometric mean over the tasks on which the kept sample has a speedup. The arithmetic mean stands in the"
            " data only because others have published it: one outlier rules it."
        ),
        columns=SELECTORS_SPEEDUP_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(1.0, "x"), stems, dots, *labels),
        height=max(160, 26 * len(kept)),
    )
