"""`assay run rlvr`."""

from typing import Annotated

from cyclopts import Parameter

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy
from assay.cli.run.training_options import Advantage, TrainingOptions


def reinforcement_learning(
    options: RunOptions | None = None,
    training: TrainingOptions | None = None,
    outcome: Outcome | None = None,
    *,
    batch: int | None = None,
    advantage: Advantage | None = None,
    eval_every: int | None = None,
    eval_k: int | None = None,
    eval_limit: int | None = None,
    eval_tasks: Annotated[tuple[str, ...] | None, Parameter(consume_multiple=True)] = None,
    checkpoint_every: int | None = None,
) -> None:
    """Reinforcement learning from verified rewards over training tasks, evaluated on other tasks between.

    Trains on the train half of --split and is evaluated on its eval half, unless --eval-tasks says on what.

    Parameters
    ----------
    options
        What the run works on; --tasks, --limit and --offset choose among the training tasks.
    training
        How updates are made.
    outcome
        Where it goes.
    batch
        Tasks a step (default 8).
    advantage
        grpo (default), group_center, rloo, global, or entropic (k at least 4).
    eval_every
        Steps between evaluations (default 10; 0 for none); there is one before the first step and one after the last.
    eval_k
        Samples of a task in an evaluation (default 8).
    eval_limit
        At most so many tasks of the eval half.
    eval_tasks
        Ids of the tasks to evaluate on, with commas or spaces between them.
    checkpoint_every
        Of so many steps the weights are kept (default 10), beside those of the last step.

    """
    own = {
        "strategy.batch": batch,
        "strategy.advantage": advantage,
        "strategy.eval_every": eval_every,
        "strategy.eval_k": eval_k,
        "strategy.eval_limit": eval_limit,
        "strategy.eval_ids": eval_tasks and tuple(name for text in eval_tasks for name in text.split(",") if name),
        "strategy.checkpoint_every": checkpoint_every,
    }
    run_strategy("rlvr", options, outcome, (training or TrainingOptions()).settings() | own)
