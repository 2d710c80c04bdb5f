"""`assay run refine`."""

from typing import Annotated

from cyclopts import Parameter

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy


def refinement(
    options: RunOptions | None = None,
    outcome: Outcome | None = None,
    *,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    turns: int | None = None,
) -> None:
    """Refinement: k chains a task; in each turn the model is shown its last program and what the judge said of it.

    Parameters
    ----------
    options
        What the run works on.
    outcome
        Where it goes.
    k
        Chains a task (default 16). The run samples k times --turns completions a task, as best-of-n with that k.
    turns
        Rounds (default 4); the first has no earlier program to show.

    """
    run_strategy("refine", options, outcome, {"strategy.k": k, "strategy.turns": turns})
