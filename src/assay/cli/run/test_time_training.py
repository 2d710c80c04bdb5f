"""`assay run ttt`."""

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy
from assay.cli.run.training_options import Advantage, TrainingOptions


def test_time_training(
    options: RunOptions | None = None,
    training: TrainingOptions | None = None,
    outcome: Outcome | None = None,
    *,
    advantage: Advantage | None = None,
    isolate: bool = False,
) -> None:
    """Batch test-time training: sample, evaluate, update, and sample again; says which round is the one to keep.

    Parameters
    ----------
    options
        What the run works on.
    training
        How updates are made; one more round than --steps is sampled and measured.
    outcome
        Where it goes.
    advantage
        group_center (default), grpo, rloo, global (as published), or entropic (k at least 4).
    isolate
        Give every task weights of its own, which learn from its samples alone.

    """
    own = {"strategy.advantage": advantage, "strategy.isolate": isolate or None}
    run_strategy("ttt", options, outcome, (training or TrainingOptions()).settings() | own)
