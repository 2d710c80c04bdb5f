"""`assay run STRATEGY`."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from assay.cli.options import RunOptions, new_directory


def best_of_n(
    options: RunOptions | None = None,
    *,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    out: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Best-of-N: k samples a task from the unadapted model; the fastest programs are measured again.

    Parameters
    ----------
    options
        What the run works on.
    k
        Samples a task (default 64).
    out
        Directory of the run; default: a new one under runs/.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.launch import launch

    config = (options or RunOptions()).config(strategy__type="best-of-n", strategy__k=k)
    launch(config, new_directory(out, "best-of-n"), sys.argv, dry_run=dry_run, as_json=json)
