"""What the commands of `assay run` share: where the outcome goes, one run or one for each of several seeds."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cyclopts import Parameter

from assay.cli.options import RunOptions, new_directory


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Where a run's outcome goes."""

    out: Path | None = None
    """Directory of the run; default: a new one under runs/. With several seeds, a folder for a run of each."""
    dry_run: bool = False
    """Say what would be done and what it would cost, and do nothing."""
    json: bool = False
    """One JSON document on stdout."""


def run_strategy(
    strategy: str, options: RunOptions | None, outcome: Outcome | None, settings: Mapping[str, Any]
) -> None:
    """Runs a strategy; `settings` are what its own options give, by dotted key, None for what was not given."""
    from assay.cli.launch import launch, launch_seeds

    options, outcome = options or RunOptions(), outcome or Outcome()
    config = options.config(**{"strategy.type": strategy, **settings})
    directory = new_directory(outcome.out, strategy)
    seeds = options.several_seeds()
    if seeds:
        launch_seeds(config, seeds, directory, sys.argv, dry_run=outcome.dry_run, as_json=outcome.json)
    else:
        launch(config, directory, sys.argv, dry_run=outcome.dry_run, as_json=outcome.json)
