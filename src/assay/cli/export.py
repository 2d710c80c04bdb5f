"""`assay export RUN --to FORMAT DIR`."""

from pathlib import Path
from typing import Literal


def export_command(run: Path, directory: Path, /, *, to: Literal["kernelbench"], json: bool = False) -> None:
    """Write a run's samples in another tool's layout.

    Parameters
    ----------
    run
        Directory of the run.
    directory
        A new directory to write to.
    to
        kernelbench: kernels and eval_results.json, as KernelBench's own scripts read them.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, print_text
    from assay.runs.interchange import export_kernelbench

    written = export_kernelbench(run, directory)
    if json:
        print_json({"run": str(run), "to": to, "directory": str(directory), "samples": written})
    else:
        print_text(f"{directory}: {written} samples in the layout of {to}")
