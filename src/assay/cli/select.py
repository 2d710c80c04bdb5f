"""`assay select RUN`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def select_command(
    run: Path,
    /,
    *,
    by: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = (),
    json: bool = False,
) -> None:
    """What each selector would have kept of a run's samples, without sampling or timing anything.

    Parameters
    ----------
    run
        Directory of the run.
    by
        Names of selectors, with commas or spaces between them; default: all that the run has the columns for.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json
    from assay.cli.page import show_tables
    from assay.report.tables import run_tables
    from assay.runs.pools import select
    from assay.runs.store import RunStore
    from assay.selection.selectors import build_selectors

    names = [name for text in by for name in text.split(",") if name]
    selectors = build_selectors(names) if names else None
    with RunStore.open(run) as store:
        if json:
            print_json(select(store, selectors))
        else:
            show_tables(run_tables(store, selectors))
