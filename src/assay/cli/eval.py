"""`assay eval CANDIDATE --reference REF`."""

from pathlib import Path


def eval_command(
    candidate: Path,
    /,
    *,
    reference: str,
    scale: str = "default",
    device: str = "auto",
    minimal_effect: float | None = None,
    fail_under: float | None = None,
    json: bool = False,
) -> int:
    """Judge one program against a reference: whether it is correct, and whether it is faster.

    Parameters
    ----------
    candidate
        A Python file that defines ModelNew.
    reference
        A task file, FILE.py:Class, or a task of a suite (starter/ID, kernelbench/1/ID).
    scale
        Input sizes: default, or gpu (starter), small (all others).
    device
        cpu, cuda:N, or auto.
    minimal_effect
        Smallest relative gain that may be called faster (default 0.01).
    fail_under
        Exit code 4 unless the program is correct and the low end of its speedup's interval is at least this.
    json
        One JSON document on stdout.

    """
    from assay.cli.console import print_json, print_text
    from assay.cli.exits import THRESHOLD
    from assay.cli.progress import speedup_words
    from assay.report.evaluation import evaluation_document
    from assay.runs.single import evaluate_file

    found = evaluate_file(candidate, reference, scale, device, minimal_effect)
    if json:
        print_json(evaluation_document(found))
    else:
        words = speedup_words(found)
        print_text(f"{candidate}: {words}" if found.speedup is None else f"{candidate}: correct; {words}")
        if found.error:
            print_text(found.error)
    low = found.speedup.low if found.speedup else None
    return THRESHOLD if fail_under is not None and (low is None or low < fail_under) else 0
