"""The report as one page that needs nothing else: no network, no other file.

Text of samples is data to the page, never markup: what the server side writes goes through the template's escaping,
what the scripts show comes out of one JSON block and only becomes text nodes. A content security policy allows the
three scripts and the one style sheet that are in the page, by their hashes, and no address of any kind; the drawing
library's expressions are interpreted, so that strings need not be evaluated as code.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import vl_convert

import assay
from assay.report.charts import report_charts
from assay.report.charts_base import DARK, Chart, theme
from assay.report.charts_trust import timing_drawing
from assay.report.page_comparison import comparison_sections
from assay.report.page_model import Report
from assay.report.page_samples import EVALUATION_FIELDS, TEXT_BUDGET, sample_pages
from assay.report.page_sections import notes, sections, tiles
from assay.runs.store import RunStore

_SCRIPTS = ("core.js", "charts.js", "samples.js", "router.js")


def write_page(report: Report, target: Path, budget: int = TEXT_BUDGET) -> None:
    """Writes the page of a report to `target`, whole or not at all.

    budget: characters of code, completions and tokens that the page may carry; all numbers are there in any case.
    """
    with ExitStack() as stack:
        stores = [(run.name, stack.enter_context(RunStore.open(run.directory))) for run in report.runs]
        samples = sample_pages(stores, budget)
    text = render(report, samples)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(text.encode("utf-8", "replace"))
    part.replace(target)


def render(report: Report, samples: Sequence[dict[str, Any]]) -> str:
    """The page as text. samples: one document a run, as `sample_pages` makes them."""
    charts = report_charts(report)
    style, script = _asset("page.css"), "\n".join(["(() => {", '"use strict";', *map(_asset, _SCRIPTS), "})();"])
    vega = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    for text in (style, script, vega):
        if "</" in text and any(end in text.lower() for end in ("</script", "</style")):
            raise ValueError("a script or style sheet of the page holds an end tag, which would close its element")
    return _environment().get_template("page.html.j2").render(
        title=f"Assay: {', '.join(run.name for run in report.runs)}",
        version=assay.__version__,
        policy=_policy([vega, script], style),
        style=style,
        vega=vega,
        script=script,
        data=as_json(_data(charts, samples)),
        runs=report.runs,
        is_incomplete=any(not run.tables.is_complete for run in report.runs),
        sections=(*sections(report, charts), *comparison_sections(report)),
        tiles=tiles(report),
        notes=notes(report),
    )  # fmt: skip


def as_json(document: Any) -> str:
    """JSON that may stand in a script element: ASCII alone, and no `<`, `>` or `&` outside an escape."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def plain(text: object) -> str:
    """Text for the template: what reorders or hides text, and half characters, as their numbers."""
    return "".join(one if one.isprintable() or one == " " else f"\\u{ord(one):04x}" for one in str(text))


def prose(text: object) -> markupsafe.Markup:
    """`plain` text as markup, escaped, with what stands between backticks as code."""
    parts = plain(text).split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner is one of the text
        return markupsafe.escape(plain(text))
    shown = (markupsafe.Markup("<code>%s</code>") % part if n % 2 else part for n, part in enumerate(parts))
    return markupsafe.Markup("").join(shown)


def _data(charts: dict[str, tuple[Chart, ...]], samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "charts": {chart.id: _chart(chart) for several in charts.values() for chart in several},
        "timing": timing_drawing(has_pairs=False),
        "timing_of_pairs": timing_drawing(has_pairs=True),
        "theme": theme(),
        "dark": DARK,
        "evaluation_fields": EVALUATION_FIELDS,
        "runs": list(samples),
    }


def _chart(chart: Chart) -> dict[str, Any]:
    return {
        "columns": [{"field": one.field, "title": one.title, "unit": one.unit} for one in chart.columns],
        "rows": [[_cell(cell) for cell in row] for row in chart.rows],
        "drawn": chart.drawn,
        "drawing": chart.drawing,
        "height": chart.height,
        "has_samples": chart.has_samples,
    }


def _cell(cell: object) -> object:
    """Six significant digits: more than a picture or a reader uses."""
    return float(f"{cell:.6g}") if isinstance(cell, float) else cell


def _policy(scripts: Sequence[str], style: str) -> str:
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _asset(name: str) -> str:
    return files("assay.report").joinpath("assets", name).read_text(encoding="utf-8")


def _environment() -> jinja2.Environment:
    loader = jinja2.FunctionLoader(_asset)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["plain"] = plain
    environment.filters["prose"] = prose
    environment.filters["last_part"] = lambda text: text.rpartition("/")[2]
    return environment
