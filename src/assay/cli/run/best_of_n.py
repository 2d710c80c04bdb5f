"""`assay run best-of-n`."""

from typing import Annotated, Literal

from cyclopts import Parameter

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy
from assay.core.errors import UsageError


def best_of_n(
    options: RunOptions | None = None,
    outcome: Outcome | None = None,
    *,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    evaluate: str | None = None,
    rank: Literal["surprisal", "confidence", "random"] | None = None,
    null_evaluations: int | None = None,
) -> None:
    """Best-of-N: k samples a task from weights that do not change; the fastest programs are measured again.

    Parameters
    ----------
    options
        What the run works on.
    outcome
        Where it goes.
    k
        Samples a task (default 64).
    evaluate
        top-M: evaluate only the first M samples of each task by --rank; the others are stored unevaluated.
    rank
        The order of --evaluate: least expected first (surprisal, the default), most expected first (confidence), or
        random.
    null_evaluations
        Identical copies of each reference that are evaluated beside the samples, each measured by itself (default
        4 from -k 16 on, else 1); what `assay analyze --null` draws from.

    """
    settings = {
        "strategy.k": k,
        "strategy.shortlist.top": None if evaluate is None else _shortlist_size(evaluate),
        "strategy.shortlist.rank": rank,
        "null_evaluations": null_evaluations,
    }
    run_strategy("best-of-n", options, outcome, settings)


def _shortlist_size(text: str) -> int:
    size = text.removeprefix("top-")
    if size == text or not (size.isascii() and size.isdigit()):
        raise UsageError(f"--evaluate {text}: write top-M, for example top-8")
    return int(size)
