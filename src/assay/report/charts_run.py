"""Charts of a run as a whole: what happened in it, and what it spent."""

from collections.abc import Sequence
from math import atan2, degrees

import altair as alt

from assay.report.analysis_runs import ComputeTable
from assay.report.charts_base import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    Cell,
    Chart,
    Column,
    colours,
    drawing,
    rows_of,
)
from assay.report.tables import RunTables

ANATOMY_COLUMNS = (
    Column("title", "part"),
    Column("words", "in this run"),
    Column("x", "across", "number"),
    Column("y", "up", "number"),
)


def ledger_charts(compute: ComputeTable) -> tuple[Chart, Chart]:
    """Wall-clock seconds by phase, and tokens by kind."""
    phases = ("sampling", "evaluating", "learning")
    kinds = ("prompt", "completion", "teacher")
    seconds: list[tuple[Cell, ...]] = []
    tokens: list[tuple[Cell, ...]] = []
    for cost in compute.runs:
        spent = cost.spent
        amounts = (spent.sampling_s, spent.evaluation_s, spent.training_s)
        seconds += [(cost.run, phase, amount) for phase, amount in zip(phases, amounts, strict=True)]
        counts = (spent.prompt_tokens, spent.completion_tokens, spent.teacher_tokens)
        tokens += [(cost.run, kind, count) for kind, count in zip(kinds, counts, strict=True)]
    runs = [cost.run for cost in compute.runs]
    return (
        _stacked(
            seconds,
            runs,
            phases,
            ("ledger-seconds", "Seconds by phase"),
            f"Wall-clock seconds of each phase. {compute.in_words}",
            Column("amount", "seconds", "seconds"),
        ),
        _stacked(
            tokens,
            runs,
            kinds,
            ("ledger-tokens", "Tokens by kind"),
            "Prompt and completion tokens of the samples, and tokens that were scored for learning or a guardrail.",
            Column("amount", "tokens", "count"),
        ),
    )


def _stacked(
    rows: Sequence[tuple[Cell, ...]],
    runs: Sequence[str],
    parts: Sequence[str],
    names: tuple[str, str],
    caption: str,
    amount: Column,
) -> Chart:
    bars = (
        rows_of()
        .transform_calculate(order=f"indexof({list(parts)!r}, datum.part)")
        .mark_bar(stroke=PALE, strokeWidth=0.5)
        .encode(
            y=alt.Y("run:N", sort=list(runs), title=None),
            x=alt.X("amount:Q", title=amount.title, axis=alt.Axis(format="~s", tickCount=6)),
            color=alt.Color("part:N", scale=colours(parts, (BLUE, ORANGE, GREEN)), legend=alt.Legend(title=None)),
            order=alt.Order("order:Q"),
            tooltip=[alt.Tooltip("run:N"), alt.Tooltip("part:N"), alt.Tooltip("amount:Q", format=",.0f")],
        )
    )
    return Chart(
        id=names[0],
        title=names[1],
        caption=caption,
        columns=(Column("run", "run"), Column("part", "part"), amount),
        rows=tuple(rows),
        drawing=drawing(bars),
        height=max(90, 34 * len(runs) + 30),
    )


def anatomy_chart(tables: RunTables, strategy: str) -> Chart:
    """What happens in a run, as boxes and arrows, with this run's own counts: search, and the loop that adapts."""
    lines = tables.tasks
    distinct, samples = sum(line.distinct for line in lines), sum(line.samples for line in lines)
    wins, copies = sum(line.is_win for line in lines), sum(len(line.controls) for line in lines)
    updates = tables.spent.updates
    boxes = (
        ("Tasks", f"{len(lines)} references", 0.0, 3.0),
        ("Sampler", tables.model[:18], 1.0, 3.0),
        ("Samples", f"{samples:,} completions", 2.0, 3.0),
        ("Identical copies", f"{copies} as a control", 0.0, 2.0),
        ("Learning", f"{updates} updates" if updates else "none in this run", 1.0, 2.0),
        ("Programs", f"{distinct:,} distinct", 2.0, 2.0),
        ("Judge", f"{tables.spent.evaluations:,} evaluations", 1.0, 1.0),
        ("Selectors", "one of each pool", 0.5, 0.0),
        ("Measured again", f"{wins} of {len(lines)} won", 1.5, 0.0),
    )
    arrows = (
        *((0.44, 3.0, 0.54, 3.0), (1.44, 3.0, 1.54, 3.0), (0.0, 2.68, 0.0, 2.36), (2.0, 2.68, 2.0, 2.36)),
        *((0.4, 1.68, 0.72, 1.36), (1.6, 1.68, 1.28, 1.36), (1.0, 1.32, 1.0, 1.64), (1.0, 2.32, 1.0, 2.64)),
        *((0.8, 0.68, 0.62, 0.36), (1.2, 0.68, 1.38, 0.36)),
    )
    heads = [{"x": a, "y": b, "x2": c, "y2": d, "angle": _bearing(a, b, c, d)} for a, b, c, d in arrows]
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[-0.48, 2.48], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[-0.4, 3.4], nice=False))
    shafts = alt.Chart(alt.Data(values=heads)).mark_rule(color=GREY, strokeWidth=1.5).encode(x=x, y=y, x2="x2", y2="y2")
    tips = alt.Chart(alt.Data(values=heads)).mark_point(shape="triangle", color=GREY, size=45, opacity=1)
    tips = tips.encode(x=alt.X("x2:Q", axis=None), y=alt.Y("y2:Q", axis=None), angle=alt.Angle("angle:Q", scale=None))
    base = rows_of().transform_calculate(
        left="datum.x - 0.44", right="datum.x + 0.44", top="datum.y + 0.32", bottom="datum.y - 0.32"
    )
    frames = base.mark_rect(fill=PALE, fillOpacity=0.6, stroke=BLUE, cornerRadius=4).encode(
        x=alt.X("left:Q", axis=None), x2="right", y=alt.Y("bottom:Q", axis=None), y2="top"
    )
    titles = base.mark_text(dy=-7, color=INK, fontSize=13).encode(x=x, y=y, text="title:N")
    words = base.mark_text(dy=8, color=INK, fontSize=10).encode(x=x, y=y, text="words:N")
    return Chart(
        id="anatomy",
        title="What the run did",
        caption=(
            f"Strategy {strategy}: completions are sampled from one snapshot, every distinct program is judged once,"
            " and what looks fast is measured again in fresh processes, beside identical copies of the references."
            " Selectors work on the stored pool; where a strategy learns, the evaluations pay the updates of the next"
            " round's sampler."
        ),
        columns=ANATOMY_COLUMNS,
        rows=boxes,
        drawing=drawing(shafts, tips, frames, titles, words),
        height=300,
    )


def _bearing(x: float, y: float, x2: float, y2: float) -> float:
    """Degrees clockwise from up of an arrow, in the proportions that the boxes are drawn in."""
    return degrees(atan2((x2 - x) * 140, (y2 - y) * 75))
