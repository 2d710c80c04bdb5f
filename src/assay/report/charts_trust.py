"""Charts of what measurements can be trusted with, and of what was spent."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from assay.report.charts_base import (
    BLUE,
    GREY,
    ORANGE,
    SERIES,
    Cell,
    Chart,
    Column,
    at,
    colours,
    drawing,
    log_axis,
    rows_of,
    shapes,
    shared_prefix,
)
from assay.report.page_facts import TaskNoise
from assay.report.tables import Measured, RunTables

WINNERS_COLUMNS = (
    Column("name", "task and run"),
    Column("run", "run"),
    Column("task", "task"),
    Column("look", "look"),
    Column("ratio", "speedup", "ratio"),
    Column("low", "low", "ratio"),
    Column("high", "high", "ratio"),
    Column("raw", "raw rule's ratio", "ratio"),
    Column("verdict", "verdict"),
)
CONTROLS_COLUMNS = (
    Column("name", "task and run"),
    Column("run", "run"),
    Column("task", "task"),
    Column("copy", "copy", "count"),
    Column("ratio", "speedup", "ratio"),
    Column("low", "low", "ratio"),
    Column("high", "high", "ratio"),
    Column("raw", "raw rule's ratio", "ratio"),
    Column("verdict", "verdict"),
)
NOISE_COLUMNS = (
    Column("name", "task and run"),
    Column("run", "run"),
    Column("task", "task"),
    Column("figure", "figure"),
    Column("value", "relative gain", "share"),
    Column("evaluations", "programs", "count"),
)

LOOKS = ("first look", "measured again", "identical copy")
_MOST_TASKS = 40  # a picture with more rows than this shows those with the highest ratio


def winner_chart(tables: Mapping[str, RunTables]) -> Chart | None:
    """The program to report of each task, at first look and measured again, beside the identical copy."""
    rows: list[tuple[Cell, ...]] = []
    label = _labels({run: [line.task for line in table.tasks] for run, table in tables.items()})
    for run, table in tables.items():
        for line in table.tasks:
            name = label(line.task, run)
            for look, one in zip(LOOKS, (line.picked, line.again, line.control), strict=True):
                if one is not None and one.ratio is not None:
                    rows.append((name, run, line.task, look, *_measured(one)))
    if not rows:
        return None
    names = _first_rows(rows)
    drawn = [place for place, row in enumerate(rows) if row[0] in names]
    y = alt.Y("name:N", sort=names, title=None)
    offset = alt.YOffset("look:N", sort=list(LOOKS))
    scale = log_axis(_numbers(rows, (4, 5, 6)))
    color = alt.Color("look:N", scale=colours(LOOKS, (GREY, BLUE, ORANGE)), legend=alt.Legend(title=None))
    spans = rows_of().mark_rule(strokeWidth=2).encode(y=y, yOffset=offset, x=alt.X("low:Q"), x2="high:Q", color=color)
    dots = (
        rows_of()
        .mark_point(size=60)
        .encode(
            y=y,
            yOffset=offset,
            x=alt.X("ratio:Q", title="speedup over the reference", scale=scale, axis=alt.Axis(format="~g")),
            color=color,
            shape=alt.Shape("look:N", scale=shapes(LOOKS), legend=alt.Legend(title=None)),
            tooltip=[
                alt.Tooltip("task:N"),
                alt.Tooltip("look:N"),
                alt.Tooltip("ratio:Q", format=".3f"),
                alt.Tooltip("low:Q", format=".3f"),
                alt.Tooltip("high:Q", format=".3f"),
                alt.Tooltip("verdict:N"),
            ],
        )
    )
    return Chart(
        id="winners",
        title="The best program of each task",
        caption=(
            "Intervals of the speedup at the first look, of the same program measured again in fresh processes, and of"
            " an identical copy of the reference, whose true speedup is 1. The number to report is the one measured"
            f" again.{_further(rows, names)}"
        ),
        columns=WINNERS_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(1.0, "x"), spans, dots),
        height=40 * len(names) + 20,
        drawn=tuple(drawn) if len(drawn) < len(rows) else None,
    )


def control_chart(tables: Mapping[str, RunTables]) -> Chart | None:
    """Every identical copy: what the verdict and the raw rule make of programs whose true speedup is 1."""
    rows: list[tuple[Cell, ...]] = []
    label = _labels({run: [line.task for line in table.tasks] for run, table in tables.items()})
    for run, table in tables.items():
        for line in table.tasks:
            name = label(line.task, run)
            for number, one in enumerate(line.controls):
                if one.ratio is not None:
                    rows.append((name, run, line.task, number + 1, *_measured(one)))
    if not rows:
        return None
    names = _first_rows(rows)
    drawn = [place for place, row in enumerate(rows) if row[0] in names]
    most = max(int(row[3]) for row in rows if isinstance(row[3], int))
    y = alt.Y("name:N", sort=names, title=None)
    offset = alt.YOffset("copy:O") if most > 1 else alt.Undefined
    scale = log_axis(_numbers(rows, (4, 5, 6, 7)))
    x = alt.X("ratio:Q", title="measured speedup of an identical program", scale=scale, axis=alt.Axis(format="~g"))
    tips = [
        alt.Tooltip("task:N"),
        alt.Tooltip("ratio:Q", format=".3f"),
        alt.Tooltip("low:Q", format=".3f"),
        alt.Tooltip("high:Q", format=".3f"),
        alt.Tooltip("raw:Q", format=".3f"),
        alt.Tooltip("verdict:N"),
    ]
    spans = rows_of().mark_rule(strokeWidth=2, color=BLUE).encode(y=y, yOffset=offset, x=alt.X("low:Q"), x2="high:Q")
    dots = rows_of().mark_point(size=60, color=BLUE).encode(y=y, yOffset=offset, x=x, tooltip=tips)
    raw = (
        rows_of()
        .mark_point(size=60, color=ORANGE, shape="diamond", filled=False, strokeWidth=1.5)
        .encode(y=y, yOffset=offset, x=alt.X("raw:Q"), tooltip=tips)
    )
    return Chart(
        id="controls",
        title="Identical copies of the references",
        caption=(
            "Each row is an identical copy, so its true speedup is 1. Blue: the measured ratio with the interval that"
            " the verdict is read from. Orange diamonds: the ratio of means of the first five calls, which a"
            f" point-estimate rule would believe.{_further(rows, names)}"
        ),
        columns=CONTROLS_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(at(1.0, "x"), spans, dots, raw),
        height=max(120, 18 * len(drawn) if most > 1 else 34 * len(names)),
        drawn=tuple(drawn) if len(drawn) < len(rows) else None,
    )


def noise_chart(noise: Mapping[str, Sequence[TaskNoise]]) -> Chart | None:
    """The noise floor of each task: the margin, and the smallest gain that would have been seen."""
    rows: list[tuple[Cell, ...]] = []
    label = _labels({run: [task.task for task in tasks] for run, tasks in noise.items()})
    for run, tasks in noise.items():
        for task in tasks:
            name = label(task.task, run)
            for figure, value in (("margin", task.margin), ("smallest gain seen", task.minimal_effect)):
                if value is not None:
                    rows.append((name, run, task.task, figure, value, task.evaluations))
    if not rows:
        return None
    names = list(dict.fromkeys(str(row[0]) for row in rows))[:_MOST_TASKS]
    kinds = ["margin", "smallest gain seen"]
    legend = alt.Legend(title=None)
    dots = (
        rows_of()
        .mark_point(size=70)
        .encode(
            y=alt.Y("name:N", sort=names, title=None),
            x=alt.X(
                "value:Q",
                title="relative gain",
                axis=alt.Axis(format="~%", tickCount=6),
                scale=alt.Scale(type="log", nice=True),
            ),
            color=alt.Color("figure:N", scale=colours(kinds, (BLUE, ORANGE)), legend=legend),
            shape=alt.Shape("figure:N", scale=shapes(kinds), legend=legend),
            tooltip=[
                alt.Tooltip("task:N"),
                alt.Tooltip("figure:N"),
                alt.Tooltip("value:Q", format=".2%"),
                alt.Tooltip("evaluations:Q"),
            ],
        )
    )
    drawn = [place for place, row in enumerate(rows) if row[0] in names]
    return Chart(
        id="noise",
        title="Noise floor by task",
        caption=(
            "Median over the correct programs of a task. Margin: how far an interval must stay clear of 1 before it is"
            " called faster. Smallest gain seen: the true gain that would have been called faster in 90% of cases; a"
            f" smaller one may be there and is not shown.{_further(rows, names)}"
        ),
        columns=NOISE_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(dots),
        height=max(120, 26 * len(names)),
        drawn=tuple(drawn) if len(drawn) < len(rows) else None,
    )


def timing_drawing(*, has_pairs: bool) -> dict[str, Any]:
    """The picture of one sample's timing, whose rows the page makes from the numbers it holds. has_pairs: there are
    rows of single pairs.

    Rows of kind `interval` have look, ratio, low and high; rows of kind `pair` have look, ratio and replicate.
    """
    y = alt.Y("look:N", sort=list(LOOKS), title=None)
    scale = alt.Scale(type="log", nice=False, padding=12)
    x = alt.X("ratio:Q", title="speedup over the reference", scale=scale, axis=alt.Axis(format="~g"))
    intervals = rows_of().transform_filter("datum.kind === 'interval'")
    pairs = rows_of().transform_filter("datum.kind === 'pair'")
    ticks = pairs.mark_tick(thickness=1.5, size=14, opacity=0.55, yOffset=12).encode(
        y=y,
        x=x,
        color=alt.Color("replicate:N", scale=alt.Scale(range=list(SERIES)), legend=None),
        tooltip=[alt.Tooltip("look:N"), alt.Tooltip("replicate:N"), alt.Tooltip("ratio:Q", format=".4f")],
    )
    spans = intervals.mark_rule(strokeWidth=2.5, color=BLUE).encode(y=y, x=alt.X("low:Q"), x2="high:Q")
    dots = intervals.mark_point(size=80, color=BLUE).encode(
        y=y,
        x=x,
        tooltip=[
            alt.Tooltip("look:N"),
            alt.Tooltip("ratio:Q", format=".4f"),
            alt.Tooltip("low:Q", format=".4f"),
            alt.Tooltip("high:Q", format=".4f"),
        ],
    )
    return drawing(at(1.0, "x"), spans, dots, *([ticks] if has_pairs else []))


def _labels(tasks: Mapping[str, Sequence[str]]) -> Callable[[str, str], str]:
    """Names for rows: the task, without the suite that all share, and the run where there are several."""
    shared = shared_prefix([task for of_run in tasks.values() for task in of_run])

    def label(task: str, run: str) -> str:
        name = task.removeprefix(shared)
        return name if len(tasks) == 1 else f"{name}, {run}"

    return label


def _measured(one: Measured) -> tuple[Cell, ...]:
    return one.ratio, one.low, one.high, one.raw, None if one.verdict is None else str(one.verdict)


def _numbers(rows: Sequence[tuple[Cell, ...]], places: Sequence[int]) -> list[float]:
    cells = (row[place] for row in rows for place in places)
    return [cell for cell in cells if isinstance(cell, int | float)]


def _further(rows: Sequence[tuple[Cell, ...]], names: Sequence[str]) -> str:
    """What a caption says of the tasks that are not drawn."""
    left_out = len({row[0] for row in rows}) - len(names)
    return f" {left_out} further tasks are in the data." if left_out else ""


def _first_rows(rows: Sequence[tuple[Cell, ...]]) -> list[str]:
    """Names to draw, highest ratio first."""
    best: dict[str, float] = {}
    for row in rows:
        best[str(row[0])] = max([best.get(str(row[0]), 0.0), *_numbers([row], [4])])
    return sorted(best, key=lambda name: (-best[name], name))[:_MOST_TASKS]
