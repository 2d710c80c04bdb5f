"""The charts of a report as figures of a paper: PDF, SVG and PNG, with the data as CSV and the captions as text.

The same runs give the same bytes with the same versions of the drawing library and the same fonts: nothing in a figure
depends on the time, on a random number or on an order that is not that of the runs.
"""

import csv
import io
import json
import re
from pathlib import Path

import vl_convert

from assay.report.charts import report_charts
from assay.report.charts_base import Chart, theme
from assay.report.page_model import Report

WIDTH = 400
FONTS = "Liberation Sans, Arial, Helvetica, sans-serif"
_PNG_SCALE = 3
# The entries of a dictionary of references; the writer of PDFs leaves them in the order of a hash table.
_REFERENCES = re.compile(rb"(?<=<<)((?:\s+/\S+ \d+ 0 R)+)(?=\s+>>)")
_CLIP = re.compile(r"(?<=[#\"])clip\d+(?=[)\"])")
_ENTRY = re.compile(rb"\s+/\S+ \d+ 0 R")


def write_figures(report: Report, target: Path) -> tuple[str, ...]:
    """Writes every figure that the runs have the data for into `target`, and gives their names.

    Files: NAME.pdf, NAME.svg, NAME.png and NAME.csv for each, and captions.txt.
    """
    found = report_charts(report)
    charts = [chart for several in found.values() for chart in several]
    target.mkdir(parents=True, exist_ok=True)
    for chart in charts:
        text = _renumbered(vl_convert.vegalite_to_svg(json.dumps(specification(chart))))
        (target / f"{chart.id}.svg").write_text(text, encoding="utf-8")
        (target / f"{chart.id}.pdf").write_bytes(_in_order(vl_convert.svg_to_pdf(text)))
        (target / f"{chart.id}.png").write_bytes(vl_convert.svg_to_png(text, scale=_PNG_SCALE))
        (target / f"{chart.id}.csv").write_text(as_csv(chart), encoding="utf-8", newline="")
    captions = "\n".join(f"{chart.id}. {chart.title}.\n{chart.caption}\n" for chart in charts)
    (target / "captions.txt").write_text(captions, encoding="utf-8")
    return tuple(chart.id for chart in charts)


def specification(chart: Chart) -> dict[str, object]:
    """The whole Vega-Lite of a figure, on white and with its data."""
    return {
        **chart.drawing,
        "datasets": {"rows": chart.records()},
        "config": theme(font=FONTS),
        "background": "white",
        "width": WIDTH,
        **({} if chart.height is None else {"height": chart.height}),
        "padding": 6,
    }


def as_csv(chart: Chart) -> str:
    """All rows of a chart, also those that are not drawn."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.title for column in chart.columns])
    writer.writerows(chart.rows)
    return text.getvalue()


def _renumbered(svg: str) -> str:
    """The same SVG with its clips numbered from 1: the library counts on from one drawing to the next."""
    numbers: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return numbers.setdefault(found[0], f"clip{len(numbers) + 1}")

    return _CLIP.sub(renamed, svg)


def _in_order(pdf: bytes) -> bytes:
    """The same PDF with sorted dictionaries of references: no byte moves outside one, so all offsets stay true.

    Holds for figures of one font, as these are; the objects of several fonts stand in a random order too.
    """

    def ordered(found: re.Match[bytes]) -> bytes:
        return b"".join(sorted(_ENTRY.findall(found[1]), key=bytes.split))

    return _REFERENCES.sub(ordered, pdf)
