"""Charts of sampling and selection: the funnel, best of K, selectors, and surprisal against speedup."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np

from assay.core.records import Status
from assay.report.analysis import Analysis
from assay.report.analysis_curves import CurvePoint, Scaling
from assay.report.charts_base import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SHARES,
    Cell,
    Chart,
    Column,
    at,
    colours,
    dashes,
    drawing,
    log_axis,
    rows_of,
    shapes,
)
from assay.report.page_facts import FunnelStage
from assay.runs.store import PoolColumns

FUNNEL_COLUMNS = (
    Column("run", "run"),
    Column("stage", "stage"),
    Column("samples", "samples", "count"),
    Column("share", "share of samples", "share"),
)
SCALING_COLUMNS = (
    Column("series", "series"),
    Column("kind", "kind"),
    Column("k", "K", "count"),
    Column("value", "tasks solved", "share"),
    Column("low", "low", "share"),
    Column("high", "high", "share"),
)
SPEEDUP_CURVE_COLUMNS = (
    Column("series", "rule"),
    Column("kind", "kind"),
    Column("k", "K", "count"),
    Column("value", "speedup", "ratio"),
    Column("low", "low", "ratio"),
    Column("high", "high", "ratio"),
)
SURPRISAL_COLUMNS = (
    Column("run", "run"),
    Column("task", "task"),
    Column("round", "round", "count"),
    Column("index", "sample", "count"),
    Column("surprisal", "surprisal", "number"),
    Column("speedup", "speedup", "ratio"),
    Column("low", "low", "ratio"),
    Column("high", "high", "ratio"),
    Column("verdict", "verdict"),
    Column("tokens", "tokens", "count"),
)
QUARTILES_COLUMNS = (
    Column("quartile", "quartile"),
    Column("rule", "rule"),
    Column("share", "share fast", "share"),
    Column("n", "samples", "count"),
    Column("geomean", "speedup (geometric mean)", "ratio"),
    Column("rho", "rho within", "number"),
)

MOST_POINTS = 1500
STAGES = ("sampled", "parsed", "built", "ran", "correct", "verified faster")
CURVES = ("best of K, verified", "best of K, raw rule", "surprisal", "confidence", "random-correct")
VERDICTS = ("faster", "same", "undecided", "slower", "no verdict")


def funnel_chart(funnels: Mapping[str, Sequence[FunnelStage]]) -> Chart:
    """How many samples came how far, by run."""
    rows = [
        (run, stage.stage, stage.samples, stage.share)
        for run, stages in funnels.items()
        for stage in stages
        if stage.share is not None
    ]
    runs = list(funnels)
    base = rows_of().encode(
        y=alt.Y("stage:N", sort=list(STAGES), title=None),
        yOffset=alt.YOffset("run:N", sort=runs) if len(runs) > 1 else alt.Undefined,
    )
    bars = base.mark_bar().encode(
        x=alt.X("share:Q", title="share of judged samples", axis=SHARES, scale=alt.Scale(domain=[0, 1.08])),
        color=alt.Color("run:N", scale=colours(runs), legend=None if len(runs) == 1 else alt.Legend(title=None)),
        tooltip=[alt.Tooltip("stage:N"), alt.Tooltip("samples:Q"), alt.Tooltip("share:Q", format=".1%")],
    )
    labels = base.mark_text(align="left", dx=4, color=INK).encode(x="share:Q", text="samples:Q")
    return Chart(
        id="funnel",
        title="From a sample to a verified win",
        caption=(
            "Samples that were parsed into a program, that built, that ran to the end, that computed what the reference"
            " computes, and whose first measurement carries the verdict `faster`. A program that was rejected for a"
            " broken rule counts as one that ran."
        ),
        columns=FUNNEL_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(bars, labels),
        height=max(150, 26 * len(STAGES) * max(1, round(len(runs) * 0.7))),
    )


def scaling_chart(found: Analysis) -> Chart | None:
    """Success against samples: best of K under both rules, what selectors keep of K, and other runs beside it."""
    if found.scaling is None:
        return None
    rows = _scaling_rows(found, found.scaling)
    series = [name for name in CURVES if any(row[0] == name for row in rows)]
    sizes = [point.k for point in found.scaling.fast_1.verified]
    lines = rows_of().transform_filter(alt.FieldOneOfPredicate(field="series", oneOf=series))
    x = alt.X("k:Q", title="samples a task, K", scale=alt.Scale(type="log", base=2), axis=alt.Axis(values=sizes))
    y = alt.Y("value:Q", title="tasks solved", axis=SHARES, scale=alt.Scale(domain=[0, 1], padding=4))
    legend = alt.Legend(title=None)
    tips = [
        alt.Tooltip("series:N"),
        alt.Tooltip("k:Q", title="K"),
        alt.Tooltip("value:Q", title="tasks solved", format=".1%"),
        alt.Tooltip("low:Q", format=".1%"),
        alt.Tooltip("high:Q", format=".1%"),
    ]
    band = (
        rows_of()
        .transform_filter(alt.FieldEqualPredicate(field="series", equal=CURVES[0]))
        .mark_area(color=BLUE, opacity=0.16)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    )
    path = lines.mark_line().encode(
        x=x,
        y=y,
        color=alt.Color("series:N", scale=colours(series), legend=legend),
        strokeDash=alt.StrokeDash("series:N", scale=dashes(series), legend=legend),
    )
    points = lines.mark_point().encode(
        x=x,
        y=y,
        color=alt.Color("series:N", scale=colours(series), legend=legend),
        shape=alt.Shape("series:N", scale=shapes(series), legend=legend),
        tooltip=tips,
    )
    others = (
        rows_of()
        .transform_filter(alt.FieldEqualPredicate(field="kind", equal="another run, verified"))
        .mark_point(shape="M0,.5L.6,.8L.5,.1L1,-.3L.3,-.4L0,-1L-.3,-.4L-1,-.3L-.5,.1L-.6,.8L0,.5Z", size=60, color=INK)
        .encode(x=x, y=y, tooltip=tips)
    )
    stars = " Stars are figures of the other runs, at the samples that each is made of." if found.others else ""
    return Chart(
        id="scaling",
        title="Tasks solved against samples",
        caption=(
            "Exact estimates over all subsets of K of the stored samples, averaged over"
            f" {found.scaling.tasks} tasks. The band is a 95% interval over tasks for the verified curve; the raw rule"
            " believes every point estimate above 1. `surprisal`, `confidence` and `random-correct` keep one correct"
            f" sample of K without timing any.{stars}"
        ),
        columns=SCALING_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(band, path, points, *([others] if found.others else [])),
        height=300,
    )


def speed_curve_chart(found: Analysis) -> Chart | None:
    """Geometric mean over tasks of the fastest of K."""
    if found.scaling is None:
        return None
    rows = [
        *_curve("verified", "", found.scaling.speedup.verified),
        *_curve("raw rule", "", found.scaling.speedup.raw),
    ]
    names = ["verified", "raw rule"]
    sizes = alt.Axis(values=[point.k for point in found.scaling.speedup.verified])
    x = alt.X("k:Q", title="samples a task, K", scale=alt.Scale(type="log", base=2), axis=sizes)
    ends = [cell for row in rows for cell in row[3:] if isinstance(cell, float)]
    y = alt.Y("value:Q", title="speedup (geometric mean)", scale=log_axis(ends), axis=alt.Axis(format="~g"))
    color = alt.Color("series:N", scale=colours(names, (BLUE, ORANGE)), legend=alt.Legend(title=None))
    band = (
        rows_of()
        .transform_filter(alt.FieldEqualPredicate(field="series", equal="verified"))
        .mark_area(color=BLUE, opacity=0.16)
        .encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    )
    dash = alt.StrokeDash("series:N", scale=dashes(names), legend=alt.Legend(title=None))
    line = rows_of().mark_line(point=True).encode(x=x, y=y, color=color, strokeDash=dash)
    return Chart(
        id="speedup-curve",
        title="Speedup of the best of K",
        caption=(
            "Geometric mean over tasks of the highest speedup among K samples, the reference itself (1x) where none is"
            " a success. The largest of several measurements is too large by selection: a figure to report is measured"
            " afresh. The band is a 95% interval over tasks for the verified curve."
        ),
        columns=SPEEDUP_CURVE_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(1.0, "y"), band, line),
        height=240,
    )


def surprisal_chart(run: str, columns: PoolColumns, found: Analysis) -> Chart | None:
    """Every correct sample of the first round of the first run by surprisal and speedup."""
    first = min(columns.round, default=0)
    rows: list[tuple[Cell, ...]] = []
    for place, status in enumerate(columns.status):
        logprob, ratio = columns.mean_logprob[place], columns.ratio[place]
        if status != Status.CORRECT or logprob is None or ratio is None or columns.round[place] != first:
            continue
        where = (run, columns.task_key[place], columns.round[place], columns.index[place])
        times = (ratio, columns.low[place], columns.high[place])
        rows.append((*where, -logprob, *times, columns.verdict[place] or "no verdict", columns.n_tokens[place]))
    if not rows:
        return None
    drawn = _thinned([row[8] == "faster" for row in rows])
    kinds = [kind for kind in VERDICTS if any(row[8] == kind for row in rows)]
    palette: dict[str, str] = dict(zip(VERDICTS, (BLUE, GREY, ORANGE, PURPLE, GREY), strict=True))
    legend = alt.Legend(title="verdict")
    ratios = [float(row[5]) for row in rows if isinstance(row[5], float)]
    points = (
        rows_of()
        .mark_point(opacity=0.75)
        .encode(
            x=alt.X(
                "surprisal:Q",
                title="surprisal (nats a token)",
                scale=alt.Scale(zero=False),
                axis=alt.Axis(tickCount=8),
            ),
            y=alt.Y("speedup:Q", title="speedup", scale=log_axis(ratios), axis=alt.Axis(format="~g")),
            color=alt.Color("verdict:N", scale=colours(kinds, [palette[kind] for kind in kinds]), legend=legend),
            shape=alt.Shape("verdict:N", scale=shapes(kinds), legend=legend),
            tooltip=[
                alt.Tooltip("task:N"),
                alt.Tooltip("index:Q", title="sample"),
                alt.Tooltip("surprisal:Q", format=".3f"),
                alt.Tooltip("speedup:Q", format=".3f"),
                alt.Tooltip("verdict:N"),
            ],
        )
    )
    said = "" if drawn is None else f" {len(drawn):,} of {len(rows):,} points are drawn, all of the `faster` ones."
    return Chart(
        id="surprisal",
        title="Surprisal and speedup",
        caption=(
            f"Each point is a correct sample at its first measurement, before any adaptation. {found.length.in_words}"
            f"{said}"
        ),
        columns=SURPRISAL_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(1.0, "y"), points),
        height=320,
        drawn=drawn,
        has_samples=True,
    )


def quartile_chart(found: Analysis) -> Chart | None:
    """Verified and raw share of correct samples by quartile of surprisal."""
    rows: list[tuple[Cell, ...]] = []
    for row in found.quartiles.rows:
        rho = None if row.correlation is None else row.correlation.rho
        name = ("least surprising", "second", "third", "most surprising")[row.quartile - 1]
        rows.append((name, "verified", row.fast_1_verified, row.n, row.geomean_speedup, rho))
        rows.append((name, "raw rule", row.fast_1_raw, row.n, row.geomean_speedup, rho))
    if not rows:
        return None
    names = list(dict.fromkeys(str(row[0]) for row in rows))
    bars = (
        rows_of()
        .mark_bar()
        .encode(
            x=alt.X("quartile:N", sort=names, title="quartile of surprisal", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("rule:N", sort=["verified", "raw rule"]),
            y=alt.Y("share:Q", title="correct samples that are fast", axis=alt.Axis(format="%")),
            color=alt.Color(
                "rule:N", scale=colours(["verified", "raw rule"], (BLUE, ORANGE)), legend=alt.Legend(title=None)
            ),
            tooltip=[alt.Tooltip("rule:N"), alt.Tooltip("share:Q", format=".1%"), alt.Tooltip("n:Q")],
        )
    )
    return Chart(
        id="quartiles",
        title="Success by quartile of surprisal",
        caption=found.quartiles.in_words,
        columns=QUARTILES_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(bars),
        height=220,
    )


# -- parts ------------------------------------------------------------------------------------------------------


def _scaling_rows(found: Analysis, scaling: Scaling) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    rows += _curve("best of K, verified", "best of K", scaling.fast_1.verified)
    rows += _curve("best of K, raw rule", "best of K", scaling.fast_1.raw)
    for name in ("surprisal", "confidence", "random-correct"):
        if name in scaling.selectors:
            rows += _curve(name, "kept of K, verified", scaling.selectors[name].verified)
    for row in found.others.rows if found.others else ():
        if row.rule == "verified":
            interval = row.interval
            ends = (None, None) if interval is None else (interval.low, interval.high)
            rows.append((f"{row.run}: {row.metric}", "another run, verified", row.samples, row.figure, *ends))
    return rows


def _curve(series: str, kind: str, points: Sequence[CurvePoint]) -> list[tuple[Cell, ...]]:
    ends = [(None, None) if point.interval is None else (point.interval.low, point.interval.high) for point in points]
    return [(series, kind, point.k, point.value, *end) for point, end in zip(points, ends, strict=True)]


def _thinned(is_kept: Sequence[bool], most: int = MOST_POINTS) -> tuple[int, ...] | None:
    """Places to draw: all that must be kept, and evenly spaced others up to `most`; None if all are drawn."""
    if len(is_kept) <= most:
        return None
    must = np.flatnonzero(is_kept)
    others = np.flatnonzero(~np.asarray(is_kept))
    if len(must) > most:
        must = must[np.linspace(0, len(must) - 1, most).astype(int)]
    room = most - len(must)
    spaced = others[np.linspace(0, len(others) - 1, room).astype(int)] if room and len(others) else others[:0]
    return tuple(np.unique(np.concatenate([must, spaced])).tolist())
