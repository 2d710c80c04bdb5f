"""Charts of runs that changed their model: trajectories, over-sharpening, feedback, and where adaptation pays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import altair as alt

from assay.report.analysis_rounds import RoundsTable
from assay.report.charts_base import (
    BLUE,
    INK,
    SHARES,
    Cell,
    Chart,
    Column,
    at,
    colours,
    dashes,
    drawing,
    rows_of,
    shapes,
)
from assay.report.probe import ProbeTable
from assay.selection.adaptation import complete_rounds, trajectory
from assay.selection.pool import Pool
from assay.stats.correlation import Correlation

TRAJECTORY_COLUMNS = (
    Column("run", "run"),
    Column("seed", "seed", "count"),
    Column("round", "round", "count"),
    Column("verified", "verified", "share"),
    Column("raw", "raw rule", "share"),
    Column("correct", "correct", "share"),
    Column("solved", "tasks solved", "share"),
    Column("samples", "samples", "count"),
    Column("is_kept", "kept by best-of-adaptation"),
)
TRAJECTORY_TASKS_COLUMNS = (
    Column("run", "run"),
    Column("seed", "seed", "count"),
    Column("task", "task"),
    Column("round", "round", "count"),
    Column("rate", "samples verified faster", "share"),
    Column("is_kept", "kept by best-of-adaptation"),
)

STAR = "M0,.5L.6,.8L.5,.1L1,-.3L.3,-.4L0,-1L-.3,-.4L-1,-.3L-.5,.1L-.6,.8L0,.5Z"


@dataclass(frozen=True)
class AdaptedRun:
    """A run with several complete rounds: its name, what tells it from the others, its pool and its table."""

    name: str
    seed: int | None
    pool: Pool
    table: RoundsTable


def trajectory_chart(runs: Sequence[AdaptedRun]) -> Chart | None:
    """Share of verified samples by round, a line a run, a star at the round that best-of-adaptation keeps."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        kept = run.table.choices["verified"][0].step
        for row in run.table.rows:
            shares = (row.fast_1_verified, row.fast_1_raw, row.correct, row.solved_verified)
            rows.append((run.name, run.seed, row.round, *shares, row.samples, row.round == kept))
    if not rows:
        return None
    names = [run.name for run in runs]
    x = alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0))
    top = max(row.fast_1_verified for run in runs for row in run.table.rows)
    scale = alt.Scale(domain=[0, min(1.0, max(0.1, 1.15 * top))], nice=False)
    y = alt.Y("verified:Q", title="samples verified faster", axis=alt.Axis(format="%"), scale=scale)
    legend = None if len(names) == 1 else alt.Legend(title=None)
    color = alt.Color("run:N", scale=colours(names), legend=legend)
    tips = [
        alt.Tooltip("run:N"),
        alt.Tooltip("round:O"),
        alt.Tooltip("verified:Q", format=".1%"),
        alt.Tooltip("raw:Q", format=".1%"),
        alt.Tooltip("correct:Q", format=".1%"),
    ]
    lines = rows_of().mark_line().encode(
        x=x, y=y, color=color, strokeDash=alt.StrokeDash("run:N", scale=dashes(names), legend=legend)
    )  # fmt: skip
    points = rows_of().mark_point().encode(x=x, y=y, color=color, tooltip=tips)
    stars = (
        rows_of()
        .transform_filter("datum.is_kept")
        .mark_point(shape=STAR, size=200, stroke=INK, strokeWidth=0.8)
        .encode(x=x, y=y, color=color, tooltip=tips)
    )
    return Chart(
        id="trajectory",
        title="Adaptation by round",
        caption=(
            "Share of a task's samples with the verdict `faster`, averaged over tasks, in each complete round; round 0"
            " is the unadapted model. A star marks the round that best-of-adaptation keeps, a figure from the very"
            " samples that chose it."
        ),
        columns=TRAJECTORY_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(lines, points, stars),
        height=260,
    )


def task_trajectory_chart(runs: Sequence[AdaptedRun]) -> Chart | None:
    """The same for each task: a line a task and run, the mean over tasks in bold."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        if len(complete_rounds(run.pool)) < 2:
            continue
        path = trajectory(run.pool, "verified")
        kept = run.table.choices["verified"][0].step
        for step, rates in zip(path.steps, path.rates_SP.tolist(), strict=True):
            rows += [
                (run.name, run.seed, key, step, rate, step == kept)
                for key, rate in zip(path.task_keys, rates, strict=True)
            ]
    if not rows:
        return None
    tasks = list(dict.fromkeys(str(row[2]) for row in rows))
    is_few = len(tasks) <= 5
    x = alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0))
    y = alt.Y("rate:Q", title="samples verified faster", axis=SHARES, scale=alt.Scale(domain=[0, 1], padding=4))
    color = alt.Color("task:N", scale=colours(tasks), legend=alt.Legend(title=None)) if is_few else alt.value(BLUE)
    dash = alt.StrokeDash("task:N", scale=dashes(tasks), legend=alt.Legend(title=None)) if is_few else alt.value([1, 0])
    detail = alt.Detail(["run:N", "task:N"])
    tips = [alt.Tooltip("run:N"), alt.Tooltip("task:N"), alt.Tooltip("round:O"), alt.Tooltip("rate:Q", format=".1%")]
    lines = rows_of().mark_line(opacity=0.9 if is_few else 0.35).encode(
        x=x, y=y, color=color, strokeDash=dash, detail=detail
    )  # fmt: skip
    points = rows_of().mark_point(opacity=0.9 if is_few else 0.35).encode(x=x, y=y, color=color, tooltip=tips)
    stars = (
        rows_of().transform_filter("datum.is_kept").mark_point(shape=STAR, size=120, stroke=INK, strokeWidth=0.8)
    ).encode(x=x, y=y, color=color, tooltip=tips)
    return Chart(
        id="trajectory-tasks",
        title="Adaptation by task and round",
        caption=(
            "One line a task and run. Stars mark the round that best-of-adaptation keeps for all tasks together; where"
            " a task's own best round is another one, the mean hides a trade between tasks."
        ),
        columns=TRAJECTORY_TASKS_COLUMNS,
        rows=tuple(rows),
        drawing=drawing(lines, points, *([stars] if is_few else [])),
        height=260,
    )


def sharpening_charts(runs: Sequence[AdaptedRun]) -> tuple[Chart, ...]:
    """Signs of over-sharpening on the rounds' own samples: rank correlations, and how narrow the samples become."""
    rho: list[tuple[Cell, ...]] = []
    width: list[tuple[Cell, ...]] = []
    for run in runs:
        for row in run.table.rows:
            rho += [
                (run.name, row.round, "all correct samples", *_rho(row.rho)),
                (run.name, row.round, "least surprising quartile", *_rho(row.rho_bottom)),
            ]
            width += [
                (run.name, row.round, "mean surprisal", row.mean_surprisal, row.distinct),
                (run.name, row.round, "spread within tasks", row.spread, row.distinct),
            ]
    charts = []
    rho = [row for row in rho if row[3] is not None]
    width = [row for row in width if row[3] is not None]
    if rho:
        charts.append(
            _lines(
                rho,
                ("sharpening-rho", "Surprisal and speedup, round by round"),
                (
                    "Spearman's rho of surprisal and speedup over the correct samples of each round: the rounds' own"
                    " samples, which change together with the weights. A probe that scores one fixed pool under every"
                    " snapshot separates the two."
                ),
                ("rho", "samples"),
                is_signed=True,
            )
        )
    if width:
        charts.append(
            _lines(
                width,
                ("sharpening-spread", "How narrow the samples become"),
                (
                    "Mean surprisal, and the mean within-task standard deviation of the mean log-probability of correct"
                    " samples. Over-sharpening shows as both falling while success does not rise; the share of distinct"
                    " programs is in the data."
                ),
                ("nats a token", "distinct programs"),
                is_signed=False,
            )
        )
    return tuple(charts)


def probe_chart(probes: Mapping[str, Sequence[ProbeTable]]) -> Chart | None:
    """Surprisal against speedup on one fixed pool under every checkpoint, by run: the change is that of the weights."""
    rows: list[tuple[Cell, ...]] = []
    for run, tables in probes.items():
        for table in tables:
            for row in table.rows:
                rule = "raw" if row.rho.get("verified") is None else "verified"
                found = row.rho[rule]
                if found is None:
                    continue
                pool = f"{run}, pool of {table.pool}"
                places = {"all correct samples": found.overall, "least surprising quartile": found.bottom}
                rows += [(pool, row.step, name, one.rho, table.correct, rule) for name, one in places.items()]
    rows = [row for row in rows if row[3] is not None]
    if not rows:
        return None
    words = " ".join(table.in_words for tables in probes.values() for table in tables)
    chart = _lines(
        [row[:5] for row in rows],
        ("probe", "Over-sharpening probe: one fixed pool under every step"),
        f"Spearman's rho of surprisal and speedup over the same samples, as each step's weights score them. {words}",
        ("rho", "samples"),
        is_signed=True,
    )
    return replace(chart, rows=tuple(rows), columns=(*chart.columns, Column("rule", "speedup by rule")))


def _rho(found: Correlation | None) -> tuple[float | None, int | None]:
    return (None, None) if found is None else (found.rho, found.n)


def _lines(
    rows: Sequence[tuple[Cell, ...]],
    names: tuple[str, str],
    caption: str,
    titles: tuple[str, str],
    *,
    is_signed: bool,
) -> Chart:
    """Lines by round: a colour a series, a dash a run. rows: run, round, series, value, one more number."""
    series = list(dict.fromkeys(str(row[2]) for row in rows))
    runs = list(dict.fromkeys(str(row[0]) for row in rows))
    scale = alt.Scale(domain=[-1, 1]) if is_signed else alt.Scale(domainMin=0)
    x = alt.X("round:O", title="round", axis=alt.Axis(labelAngle=0))
    y = alt.Y("value:Q", title=titles[0], scale=scale)
    legend = alt.Legend(title=None)
    color = alt.Color("series:N", scale=colours(series), legend=legend)
    dash = alt.StrokeDash("run:N", scale=dashes(runs), legend=None if len(runs) == 1 else legend)
    lines = rows_of().mark_line().encode(x=x, y=y, color=color, strokeDash=dash)
    points = (
        rows_of()
        .mark_point()
        .encode(
            x=x,
            y=y,
            color=color,
            shape=alt.Shape("series:N", scale=shapes(series), legend=legend),
            tooltip=[alt.Tooltip("run:N"), alt.Tooltip("round:O"), alt.Tooltip("series:N"), alt.Tooltip("value:Q")],
        )
    )
    layers = [at(0.0, "y"), lines, points] if is_signed else [lines, points]
    return Chart(
        id=names[0],
        title=names[1],
        caption=caption,
        columns=(
            Column("run", "run"),
            Column("round", "round", "count"),
            Column("series", "figure"),
            Column("value", titles[0], "number"),
            Column("more", titles[1], "share" if titles[1].startswith("distinct") else "count"),
        ),
        rows=tuple(rows),
        drawing=drawing(*layers),
        height=230,
    )
