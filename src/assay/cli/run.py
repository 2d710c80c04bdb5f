"""`assay run STRATEGY`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from assay.cli.options import RunOptions, new_directory
from assay.core.errors import UsageError
from assay.core.protocols import LossName


def best_of_n(
    options: RunOptions | None = None,
    *,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    evaluate: str | None = None,
    rank: Literal["surprisal", "confidence", "random"] | None = None,
    null_evaluations: int | None = None,
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
    evaluate
        top-M: evaluate only the first M samples of each task by --rank; the others are stored unevaluated.
    rank
        The order of --evaluate: least expected first (surprisal, the default), most expected first (confidence), or
        random.
    null_evaluations
        Identical copies of each reference that are evaluated beside the samples, each measured by itself (default 1);
        what `assay analyze --null` draws from.
    out
        Directory of the run; default: a new one under runs/.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.launch import launch

    config = (options or RunOptions()).config(
        strategy__type="best-of-n",
        strategy__k=k,
        strategy__shortlist__top=None if evaluate is None else _shortlist_size(evaluate),
        strategy__shortlist__rank=rank,
        null_evaluations=null_evaluations,
    )
    launch(config, new_directory(out, "best-of-n"), sys.argv, dry_run=dry_run, as_json=json)


def test_time_training(
    options: RunOptions | None = None,
    *,
    steps: int | None = None,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    reward: Literal["log_lower", "raw", "normalized", "sparse"] | None = None,
    shuffled: bool = False,
    advantage: Literal["group_center", "grpo", "rloo", "global", "entropic"] | None = None,
    loss: LossName | None = None,
    learning_rate: float | None = None,
    rank: int | None = None,
    out: Path | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> None:
    """Batch test-time training: sample, evaluate, update, and sample again; says which round is the one to keep.

    Parameters
    ----------
    options
        What the run works on.
    steps
        Updates (default 5); one more round than that is sampled and measured.
    k
        Samples a task in each round (default 32, at least 2).
    reward
        What a correct sample is paid: log_lower (default, the low end of the speedup's interval), raw, normalized, or
        sparse (--set strategy.reward.threshold=1.2).
    shuffled
        Noise control: permute the rewards among the samples of a task, so that nothing can be learned from them.
    advantage
        group_center (default), grpo, rloo, global (as published), or entropic (k at least 4).
    loss
        importance_sampling (default), ppo, cispo or cross_entropy.
    learning_rate
        Adam's (default 1e-5).
    rank
        Rank of the adapter (default 16).
    out
        Directory of the run; default: a new one under runs/.
    dry_run
        Say what would be done and what it would cost, and do nothing.
    json
        One JSON document on stdout.

    """
    from assay.cli.launch import launch

    config = (options or RunOptions()).config(
        strategy__type="ttt",
        strategy__steps=steps,
        strategy__k=k,
        strategy__reward__type=reward,
        strategy__reward__shuffled=shuffled or None,
        strategy__advantage=advantage,
        strategy__loss=loss,
        strategy__learning_rate=learning_rate,
        strategy__rank=rank,
    )
    launch(config, new_directory(out, "ttt"), sys.argv, dry_run=dry_run, as_json=json)


def _shortlist_size(text: str) -> int:
    size = text.removeprefix("top-")
    if size == text or not (size.isascii() and size.isdigit()):
        raise UsageError(f"--evaluate {text}: write top-M, for example top-8")
    return int(size)
