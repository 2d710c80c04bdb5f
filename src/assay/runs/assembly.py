"""The strategy of a configuration, with everything that it needs but the policy."""

from collections.abc import Callable

from assay.core.protocols import AdamConfig, LoraConfig
from assay.core.records import Prompt, Task
from assay.runs.config import RefineConfig, RunConfig
from assay.runs.start import find_start
from assay.runs.training_config import DiscoverConfig, RLVRConfig, SDPOConfig, TrainingConfig, TTTConfig
from assay.strategies.best_of_n import BestOfN
from assay.strategies.discover import Discovery, Reuse
from assay.strategies.objective import PolicyGradient
from assay.strategies.protocol import Strategy
from assay.strategies.refinement import Refinement
from assay.strategies.rlvr import OuterLoop, OuterLoopTraining
from assay.strategies.self_distillation import Distillation, TeacherSettings
from assay.strategies.settings import StartWeights, TrainingSettings
from assay.strategies.test_time_training import BatchTestTimeTraining


def strategy_of(config: RunConfig, tasks: tuple[Task, ...], prompt: Callable[[Task], Prompt]) -> Strategy:
    """The strategy of a configuration. UsageError for weights to start from that are no longer there."""
    chosen = config.strategy
    start = starting_weights(config)
    match chosen:
        case TTTConfig():
            settings = training_settings(config, chosen, start)
            objective = PolicyGradient(settings, chosen.advantage)
            return BatchTestTimeTraining(tasks, chosen.k, prompt, settings, objective, chosen.isolate)
        case SDPOConfig():
            settings = training_settings(config, chosen, start)
            teacher = TeacherSettings(
                told=chosen.teacher,
                weights=chosen.teacher_weights,
                preset=chosen.preset,
                beta=chosen.beta,
                alpha=chosen.divergence,
                topk=chosen.topk,
            )
            objective = Distillation(settings, teacher)
            return BatchTestTimeTraining(tasks, chosen.k, prompt, settings, objective, chosen.isolate, name="sdpo")
        case RLVRConfig():
            settings = training_settings(config, chosen, start)
            objective = PolicyGradient(settings, chosen.advantage)
            held_out = set(chosen.eval_ids or ()) if chosen.eval_every else set()
            train = [task for task in tasks if task.id not in held_out]
            evaluation = [task for task in tasks if task.id in held_out]
            sizes = OuterLoop(chosen.batch, chosen.k, chosen.eval_every, chosen.eval_k, chosen.checkpoint_every)
            return OuterLoopTraining(train, evaluation, prompt, settings, objective, sizes)
        case DiscoverConfig():
            settings = training_settings(config, chosen, start)
            objective = PolicyGradient(settings, chosen.advantage)
            reuse = Reuse(chosen.groups, chosen.c, chosen.keep, chosen.capacity)
            return Discovery(tasks, chosen.k, prompt, settings, objective, reuse, chosen.isolate)
        case RefineConfig():
            return Refinement(tasks, chosen.k, chosen.turns, prompt, start)
        case _:
            return BestOfN(tasks, chosen.k, start)


def starting_weights(config: RunConfig) -> StartWeights | None:
    """The adapter that a run begins from; None for the unadapted model."""
    if config.start is None:
        return None
    found = find_start(config.start, config.model)
    return None if found.directory is None else StartWeights(found.directory, found.lora)


def training_settings(config: RunConfig, chosen: TrainingConfig, start: StartWeights | None) -> TrainingSettings:
    """How updates are made, as a configuration has it."""
    return TrainingSettings(
        steps=chosen.steps,
        reward=chosen.reward,
        loss=chosen.loss,
        adam=AdamConfig(
            learning_rate=chosen.learning_rate,
            beta1=chosen.beta1,
            beta2=chosen.beta2,
            epsilon=chosen.epsilon,
            weight_decay=chosen.weight_decay,
            max_grad_norm=chosen.max_grad_norm or None,
        ),
        lora=LoraConfig(rank=chosen.rank, alpha=chosen.alpha, seed=config.seed),
        kl_limit=chosen.kl_limit,
        kl_coef=chosen.kl_coef,
        collapse_below=chosen.collapse_below,
        seed=config.seed,
        start=start,
    )
