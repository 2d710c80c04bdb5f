"""What every chart is made of: its rows, which are its data for a reader too, a caption, and a Vega-Lite drawing.

A chart is drawn twice from one description: in the page, by the reader's browser, and as a figure of a paper. Colours
are those of Okabe and Ito (2008), which readers with any kind of colour vision tell apart; shape, dash or position say
the same a second time. The dark theme of the page replaces each colour by its partner in `DARK`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

BLUE, ORANGE, GREEN, PURPLE, GREY, INK, PALE = (
    *("#0072B2", "#D55E00", "#009E73", "#AA4499", "#6B7280", "#1F2933", "#D5DBE3"),
)
SERIES = (BLUE, ORANGE, GREEN, PURPLE, GREY)
DARK = {
    BLUE: "#56B4E9",
    ORANGE: "#F0A04B",
    GREEN: "#3CCBA0",
    PURPLE: "#DE8FCB",
    GREY: "#9AA4B2",
    INK: "#E5E9F0",
    PALE: "#384252",
}
SHAPES = ("circle", "diamond", "square", "triangle-up", "cross")
DASHES = ((1, 0), (5, 3), (2, 2), (8, 3, 2, 3), (1, 3))

SHARES = alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1])

Unit = Literal["text", "count", "share", "ratio", "number", "seconds"]
Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Column:
    """A column of a chart's data: the field that the drawing names, its title for a reader, and its unit."""

    field: str
    title: str
    unit: Unit = "text"


@dataclass(frozen=True)
class Chart:
    """A chart with the data behind it.

    rows: one tuple a row, in the order of `columns`. drawn: the rows that are drawn, None for all: where there are too
    many to be told apart, the table and the CSV keep them all. drawing: Vega-Lite without data, size and theme.
    height: in pixels, None where the drawing has a step for each row. refs: the columns that name a sample (run, task,
    round, index), for a chart whose points lead to their code.
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    drawing: Mapping[str, Any]
    height: int | None = 260
    drawn: tuple[int, ...] | None = None
    has_samples: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"chart {self.id}: a row of {len(row)} cells under {len(self.columns)} columns")

    def records(self) -> list[dict[str, Cell]]:
        """The rows that are drawn, as the drawing reads them."""
        fields = [column.field for column in self.columns]
        kept = self.rows if self.drawn is None else [self.rows[place] for place in self.drawn]
        return [dict(zip(fields, row, strict=True)) for row in kept]


def drawing(*layers: Any) -> dict[str, Any]:
    """The Vega-Lite of layers over the rows of the chart."""
    whole: Any = alt.layer(*layers) if len(layers) > 1 else next(iter(layers))
    spec = whole.properties(data=alt.NamedData(name="rows")).to_dict()
    for unused in ("config", "$schema", "datasets"):
        spec.pop(unused, None)
    return spec


def rows_of() -> alt.Chart:
    """An empty drawing of the chart's rows."""
    return alt.Chart(alt.NamedData(name="rows"))


def at(value: float, axis: Literal["x", "y"]) -> Any:
    """A thin line across the drawing at a value that means something: no gain, no correlation."""
    line = alt.Chart(alt.Data(values=[{}])).mark_rule(color=GREY, strokeDash=[3, 3])
    return line.encode(**{axis: alt.datum(value)})


def colours(names: Sequence[str], palette: Sequence[str] = SERIES) -> alt.Scale:
    """A colour for each name, in order; after the last one they begin again."""
    return alt.Scale(domain=list(names), range=[palette[place % len(palette)] for place in range(len(names))])


def shapes(names: Sequence[str]) -> alt.Scale:
    """A shape for each name, in the order of `colours`."""
    return alt.Scale(domain=list(names), range=[SHAPES[place % len(SHAPES)] for place in range(len(names))])


def dashes(names: Sequence[str]) -> alt.Scale:
    """A dash for each name, in the order of `colours`."""
    return alt.Scale(domain=list(names), range=[list(DASHES[place % len(DASHES)]) for place in range(len(names))])


def shared_prefix(tasks: Sequence[str]) -> str:
    """The suite that all these task keys begin with, with its slash; empty where there are several."""
    suites = {task.rpartition("/")[0] for task in tasks}
    return f"{suites.pop()}/" if len(suites) == 1 else ""


def log_axis(values: Sequence[float | None]) -> alt.Scale:
    """A logarithmic scale of ratios that holds 1 and all `values`, with a little room."""
    known = [value for value in (*values, 1.0) if value is not None and value > 0]
    low, high = min(known), max(known)
    room = max(1.02, (high / low) ** 0.04)
    return alt.Scale(type="log", domain=[low / room, high * room], nice=False)


def theme(ink: str = INK, quiet: str = GREY, grid: str = PALE, font: str = "sans-serif") -> dict[str, Any]:
    """The look that all charts share, as a Vega-Lite configuration."""
    return {
        "background": "transparent",
        "font": font,
        "view": {"stroke": None},
        "axis": {
            "labelColor": ink,
            "titleColor": ink,
            "domainColor": quiet,
            "tickColor": quiet,
            "gridColor": grid,
            "gridOpacity": 0.6,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelLimit": 220,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": ink,
            "labelFontSize": 11,
            "titleFontSize": 11,
            "titleFontWeight": "normal",
            "orient": "top",
            "direction": "horizontal",
            "columns": 3,
            "labelLimit": 280,
            "symbolStrokeWidth": 2,
            "offset": 4,
        },
        "title": {"color": ink, "fontSize": 12, "fontWeight": "bold", "anchor": "start"},
        "text": {"color": ink, "fontSize": 11},
        "line": {"strokeWidth": 2},
        "point": {"size": 55, "filled": True, "opacity": 1},
        "bar": {"cornerRadiusEnd": 2},
    }
