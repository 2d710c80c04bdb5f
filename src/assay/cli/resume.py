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

    config = unfinished(run)
    if config is not None:
        with Narrator() as narrator:
            with terminable():
                tools = load_tools(config, narrator.loading)
            drive(go_on(run, tools, sys.argv, narrator.observe), run)
    show_run(run, json)
