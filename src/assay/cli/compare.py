"""`assay compare A B ...`."""

from pathlib import Path
from typing import TYPE_CHECKING

from assay.core.errors import UsageError

if TYPE_CHECKING:
    from assay.report.compare import Comparison


def compare_command(
    *runs: Path,
    at: str | None = None,
    group: bool = False,
    anyway: bool = False,
    fail_under: float | None = None,
    json: bool = False,
) -> int:
    """Compare runs with the first one: paired by task, at a matched budget. Nothing is run again.

    Parameters
    ----------
    runs
        Directories of runs; each is held against the first one.
    at
        Cut every run to this spend: rollouts=N or tokens=N, over all shared tasks. Of one round, any samples (exact
        estimators); of several, the first whole rounds.
    group
        Take runs that differ in their seed alone together: mean and standard deviation over seeds.
    anyway
        Compare although budgets, devices or rules of evaluation differ; each difference is then a warning.
    fail_under
        Exit code 4 unless, for every run, the low end of the interval of its share of tasks solved (verified) less
        that of the first run is at least this: -0.1 asks for at most 10 points worse.
    json
        One JSON document on stdout.

    """
    from assay.cli.compare_page import show_comparison
    from assay.cli.console import print_json
    from assay.cli.exits import THRESHOLD
    from assay.report.compare import compare_directories
    from assay.report.compare_cut import parse_budget

    if fail_under is not None and not -1 <= fail_under <= 1:
        raise UsageError(f"--fail-under {fail_under}: give a difference of shares from -1 to 1, such as -0.1")
    budget = None if at is None else parse_budget(at)
    found = compare_directories(runs, is_grouped=group, at=budget, is_anyway=anyway)
    if json:
        print_json(found)
    else:
        show_comparison(found)
    return 0 if fail_under is None or _is_met(found, fail_under) else THRESHOLD


def _is_met(found: "Comparison", least: float) -> bool:
    """Whether no interval reaches below `least`; without an interval nothing is shown, so nothing is met."""
    intervals = [contrast.success["verified"].interval for contrast in found.contrasts]
    return all(interval is not None and interval.low >= least for interval in intervals)
