"""`assay run sdpo`."""

from assay.cli.options import RunOptions
from assay.cli.run.outcome import Outcome, run_strategy
from assay.cli.run.training_options import TrainingOptions
from assay.learning.names import PresetName, TeacherName, TeacherWeights


def self_distillation(
    options: RunOptions | None = None,
    training: TrainingOptions | None = None,
    outcome: Outcome | None = None,
    *,
    teacher: TeacherName | None = None,
    teacher_weights: TeacherWeights | None = None,
    preset: PresetName | None = None,
    divergence: float | None = None,
    topk: int | None = None,
    isolate: bool = False,
) -> None:
    """Self-distillation (SDPO): the model, told what became of its attempts, teaches itself, in the rounds of ttt.

    Parameters
    ----------
    options
        What the run works on.
    training
        How updates are made; one more round than --steps is sampled and measured.
    outcome
        Where it goes.
    teacher
        What the teacher is told beside the task: prompt-only (nothing), feedback (the result of the attempt), or
        feedback+solution (default: and a correct program of another sample of the group).
    teacher_weights
        Whose weights the teacher has: snapshot (default, the round's own), initial (those training began with), or ema
        (a moving average of rate 0.05; local models).
    preset
        published (default): every sample is learned from, a solution is a correct sample. reference: a solution has
        reward 0.5 or more, and samples whose teacher knows nothing more are left out.
    divergence
        Instead of the sampled tokens, bring the distributions nearer to the teacher's: 0 (forward KL), 0.5
        (Jensen-Shannon) or 1 (reverse KL), over its likeliest tokens and one bucket for all others.
    topk
        How many of the teacher's likeliest tokens --divergence is over (default 20).
    isolate
        Give every task weights of its own, which learn from its samples alone.

    """
    own = {
        "strategy.teacher": teacher,
        "strategy.teacher_weights": teacher_weights,
        "strategy.preset": preset,
        "strategy.divergence": divergence,
        "strategy.topk": topk,
        "strategy.isolate": isolate or None,
    }
    run_strategy("sdpo", options, outcome, (training or TrainingOptions()).settings() | own)
