"""`assay run discover`."""

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy
from assay.cli.run.training_options import Advantage, TrainingOptions


def discovery(
    options: RunOptions | None = None,
    training: TrainingOptions | None = None,
    outcome: Outcome | None = None,
    *,
    groups: int | None = None,
    c: float | None = None,
    advantage: Advantage | None = None,
    isolate: bool = False,
) -> None:
    """Extended adaptation: 50 steps with entropic advantages and KL shaping, each from the best programs so far.

    Parameters
    ----------
    options
        What the run works on.
    training
        How updates are made. Other defaults here: --steps 50, --kl-coef 0.1, --kl-limit 0.
    outcome
        Where it goes.
    groups
        Earlier programs that each task goes on from in a round (default 4); k is a multiple of it.
    c
        Weight of exploration in the choice of these programs (default 1).
    advantage
        entropic (default, at least 4 samples a group), group_center, grpo, rloo or global.
    isolate
        Give every task weights of its own, which learn from its samples alone.

    """
    own = {
        "strategy.groups": groups,
        "strategy.c": c,
        "strategy.advantage": advantage,
        "strategy.isolate": isolate or None,
    }
    run_strategy("discover", options, outcome, (training or TrainingOptions()).settings() | own)
