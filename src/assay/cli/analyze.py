"""`assay analyze RUN...`."""

from pathlib import Path
from typing import Literal


def analyze_command(
    *runs: Path,
    against: Literal["published"] | None = None,
    null: bool = False,
    json: bool = False,
) -> None:
    """What the stored samples of a run support: curves, selectors, surprisal, rounds, cost; nothing is run again.

    Parameters
    ----------
    runs
        Directories of runs. Further runs are placed on the first one's curve, and their benefit over it is shown.
    against
        published: put our figures beside the published ones.
    null
        Analyse the A/A pool instead: every correct program replaced by the reference, as its identical copies were
        measured. Shows what noise alone would have scored.
    json
        One JSON document on stdout.

    """
    from contextlib import ExitStack

    from assay.cli.analysis_page import show_analysis
    from assay.cli.console import print_json
    from assay.cli.probe_page import show_probe
    from assay.core.errors import UsageError
    from assay.report.analysis import analyse
    from assay.report.analysis_runs import read_run
    from assay.report.probe import probe_tables
    from assay.runs.store import RunStore

    if len({run.resolve() for run in runs}) < len(runs):
        raise UsageError("a run was named twice: a run is no evidence beside itself")
    with ExitStack() as stack:
        views = [read_run(stack.enter_context(RunStore.open(run))) for run in runs]
    found = analyse(views, null=null, published=against == "published")
    probes = [table for run in runs for table in probe_tables(run)]
    if json:
        print_json({**found.model_dump(mode="json"), "probes": [table.model_dump(mode="json") for table in probes]})
        return
    show_analysis(found)
    for table in probes:
        show_probe(table)
