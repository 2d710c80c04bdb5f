"""`assay report RUN...`."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

NEEDS = ("altair", "jinja2", "vl_convert")
HINT = "pip install 'assay-lab[report]'"


def report_command(
    *runs: Path,
    html: Path | None = None,
    figures: Path | None = None,
    json: Annotated[bool, Parameter(show_default=False)] = False,
) -> None:
    """What runs found, as tables; with --html as one page that opens in a browser, with --figures for a paper.

    Parameters
    ----------
    runs
        Directories of runs, finished or not. Several are put side by side, the first one as the base.
    html
        Write a page that holds all it shows: charts, tables, and every sample with its code.
    figures
        Write each chart as PDF, SVG and PNG into this directory, with its data as CSV, and the captions as text.
    json
        One JSON document on stdout: the tables, the facts and the analysis of the runs.

    """
    from assay.cli.console import print_json, print_text
    from assay.cli.page import show_tables
    from assay.report.page_model import read_report

    _check_extra(html, figures)
    report = read_report(runs)
    if html is not None:
        from assay.report.page import write_page

        write_page(report, html)
    names: tuple[str, ...] = ()
    if figures is not None:
        from assay.report.figures import write_figures

        names = write_figures(report, figures)
    if json:
        written = {"html": None if html is None else str(html), "figures": list(names)}
        print_json({**report.document(), **written})
        return
    if html is None and figures is None:
        for run in report.runs:
            if len(report.runs) > 1:
                print_text(f"\n{run.name}")
            show_tables(run.tables)
            print_text(f"\n{run.headline}\n{run.words}")
        print_text(
            f"\nA page with charts, code and timings: assay report {' '.join(map(str, runs))} --html report.html"
        )
    if html is not None:
        print_text(f"{html}: {html.stat().st_size / 1e6:.1f} MB; opens in a browser, without a network")
    if figures is not None:
        print_text(f"{figures}: {len(names)} figures ({', '.join(names)}), each as PDF, SVG, PNG and CSV; captions.txt")


def write_runs_page(runs: Sequence[Path], target: Path) -> Path | None:
    """Writes the page of `runs` as `target`; None where the packages for it are not installed."""
    if not _is_installed():
        return None
    from assay.report.page import write_page
    from assay.report.page_model import read_report

    write_page(read_report(runs), target)
    return target


def _is_installed() -> bool:
    return all(find_spec(name) is not None for name in NEEDS)


def _check_extra(html: Path | None, figures: Path | None) -> None:
    from assay.core.errors import UsageError

    if (html is not None or figures is not None) and not _is_installed():
        asked = "--html" if html is not None else "--figures"
        raise UsageError(f"{asked} needs packages that are not installed here ({', '.join(NEEDS)}): {HINT}")
    if html is not None and html.is_dir():
        raise UsageError(f"{html} is a directory: name the file to write, as in --html {html}/report.html")
    if figures is not None and figures.exists() and not figures.is_dir():
        raise UsageError(f"{figures} is a file: name a directory for the figures")
