"""`assay analyze RUN...`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def analyze_command(
    *runs: Path,
    by: Annotated[tuple[str, ...], Parameter(consume_multiple=True, show_default=False)] = (),
    against: Literal["published"] | None = None,
    null: bool = False,
    json: bool = False,
) -> None:
    """What the stored samples of a run support: curves, selectors, surprisal, rounds, transfer, probes, cost.

    Nothing is run again. Each table ends with a sentence on what its numbers support, and how many tasks more would.

    Parameters
    ----------
    runs
        Directories of runs. Further runs are placed on the first one's curve, and their benefit over it is shown. The
        folder of a transfer stands for its two runs.
    by
        Names of selectors, with commas or spaces between them; default: all that the run has the columns for.
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
    from assay.core.errors import UsageError
    from assay.report.analysis import analyse
    from assay.report.analysis_runs import read_run
    from assay.report.probe import probe_tables
    from assay.report.probe_null import null_probe_tables
    from assay.runs.store import RunStore
    from assay.runs.transfer import sides_in, transfers_beside
    from assay.selection.selectors import build_selectors

    directories = [side for run in runs for side in (sides_in(run) or (run,))]
    named = {directory.resolve() for directory in directories}
    if len(named) < len(directories):
        raise UsageError("a run was named twice: a run is no evidence beside itself")
    names = [name for text in by for name in text.split(",") if name]
    pairs = [pair for run in directories for pair in transfers_beside(run) if not named & set(pair)]
    with ExitStack() as stack:
        views = [read_run(stack.enter_context(RunStore.open(run))) for run in directories]
        transfers = [
            (read_run(stack.enter_context(RunStore.open(base))), read_run(stack.enter_context(RunStore.open(adapted))))
            for base, adapted in pairs
        ]
    probes, unknown = zip(*map(null_probe_tables, directories), strict=True) if null and directories else ((), ())
    found = analyse(
        views,
        null=null,
        published=against == "published",
        selectors=build_selectors(names) if names else None,
        probes=[table for of_run in (probes if null else map(probe_tables, directories)) for table in of_run],
        transfers=transfers,
    )
    found = found.model_copy(update={"warnings": (*found.warnings, *(text for of_run in unknown for text in of_run))})
    if json:
        print_json(found)
        return
    show_analysis(found)
