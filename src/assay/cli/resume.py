"""`assay resume RUN`."""

import sys
from pathlib import Path


def resume_command(run: Path, /, *, json: bool = False) -> None:
    """Go on with a run after any interruption; nothing is sampled or evaluated twice.

    Parameters
    ----------
    run
        Directory of the run.
    json
        One JSON document on stdout.

    """
    from assay.cli.page import show_run
    from assay.cli.progress import Narrator
    from assay.cli.session import drive, terminable
    from assay.runs.lifecycle import go_on, load_tools, unfinished
    from assay.runs.schema import Purpose
    from assay.runs.store import RunStore

    config = unfinished(run)
    if config is not None:
        with RunStore.open(run) as store:
            faster = sum(one.is_verified_faster for one in store.evaluations(Purpose.SEARCH))
        with Narrator(faster) as narrator:
            with terminable():
                tools = load_tools(config, narrator.loading)
            drive(go_on(run, tools, sys.argv, narrator.observe), run)
    show_run(run, json)
