"""Which step of an adaptation to keep: Best-of-Adaptation, early stop, a fixed step, and the per-task upper bound.

Choosing the step with the highest figure and reporting that figure counts luck as skill. Each rule is therefore also
given a split estimate: the step is chosen on one half of every task's samples and its figure taken from the other.

Axis suffixes: S steps, P tasks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.selection.curves import Success, is_success
from assay.selection.pool import Bools, Floats, Pool

# Means of the same counts in another order differ by rounding; closer than this they are ties.
_TIE = 1e-9


@dataclass(frozen=True)
class Trajectory:
    """Outcomes by step and task. steps: S round numbers; successes[s][p]: one boolean a sample, at least one.

    incomplete: rounds left out because some task had no sample in them (an interrupted run).
    """

    steps: tuple[int, ...]
    task_keys: tuple[str, ...]
    successes: tuple[tuple[Bools, ...], ...]
    incomplete: tuple[int, ...] = ()

    @property
    def rates_SP(self) -> Floats:
        """Share of successes of each step and task."""
        return np.array([[of_task.mean() for of_task in of_step] for of_step in self.successes])


class StepChoice(Record):
    """A rule's choice. step: a round number, None for the per-task oracle, which has one for each task.

    in_batch: the figure on the samples that chose the step (the naive one); split: chosen on one half and reported on
    the other, mean over random halvings, None where a task has a single sample in some step. last_step: the last round
    that the rule needs to have run.
    """

    rule: str
    step: int | None
    in_batch: float
    split: float | None
    last_step: int


def complete_rounds(pool: Pool) -> tuple[int, ...]:
    """The rounds in which every task of the pool has samples."""
    tasks = len(pool.task_keys)
    seen = np.unique(np.stack([pool.samples.round, pool.task], axis=1), axis=0)[:, 0]
    rounds, counts = np.unique(seen, return_counts=True)
    return tuple(rounds[counts == tasks].tolist())


def trajectory(pool: Pool, success: Success = "verified") -> Trajectory:
    """The pool's rounds as steps. UsageError where no round has samples of every task."""
    outcome_N, round_N, task_N = is_success(pool.samples, success), pool.samples.round, pool.task
    complete, incomplete, successes = [], [], []
    for step in np.unique(round_N).tolist():
        of_step = tuple(outcome_N[(round_N == step) & (task_N == p)] for p in range(len(pool.task_keys)))
        if all(len(of_task) for of_task in of_step):
            complete.append(step)
            successes.append(of_step)
        else:
            incomplete.append(step)
    if not complete:
        raise UsageError("No round of this run has samples of every task, so there is no trajectory to choose from.")
    return Trajectory(tuple(complete), pool.task_keys, tuple(successes), tuple(incomplete))


# -- rules: each takes the aggregate by step and gives a place in it ----------------------------------------------


def best_of_adaptation(aggregate_S: ArrayLike) -> int:
    """Place of the highest aggregate; ties go to the earliest (Barnes 2026, algorithm 1 of the technical report)."""
    aggregate = _aggregate(aggregate_S)
    return int(np.argmax(aggregate >= aggregate.max() - _TIE))


def early_stop(aggregate_S: ArrayLike, patience: int = 1) -> tuple[int, int]:
    """(place kept, last place run): stops after `patience` consecutive regressions and keeps the best so far.

    A regression is an aggregate below that of the step before; an equal one ends the streak. ValueError for patience 0.
    """
    if patience < 1:
        raise ValueError(f"patience {patience}: at least one regression is needed to stop")
    aggregate = _aggregate(aggregate_S)
    streak, last = 0, len(aggregate) - 1
    for place in range(1, len(aggregate)):
        streak = streak + 1 if aggregate[place] < aggregate[place - 1] - _TIE else 0
        if streak == patience:
            last = place
            break
    return best_of_adaptation(aggregate[: last + 1]), last


def per_task_oracle(rates_SP: ArrayLike) -> float:
    """Mean over tasks of each task's best step: an upper bound that no rule on the aggregate can reach."""
    return float(np.asarray(rates_SP, float).max(axis=0).mean())


def _aggregate(aggregate_S: ArrayLike) -> NDArray[np.float64]:
    aggregate = np.asarray(aggregate_S, float)
    if aggregate.ndim != 1 or len(aggregate) == 0:
        raise ValueError("choosing a step needs one aggregate for each of at least one step")
    return aggregate


# -- choices over a trajectory ------------------------------------------------------------------------------------

# From the rates of the half that chooses to a step for each task.
_Rule = Callable[[Floats], NDArray[np.int64]]


def step_choices(
    path: Trajectory,
    rng: np.random.Generator,
    patience: Sequence[int] = (1,),
    fixed: int | None = None,
    halvings: int = 200,
) -> tuple[StepChoice, ...]:
    """All rules on one trajectory: BoA, early stop for each patience, the fixed step (default the last), the oracle.

    UsageError for a fixed step that the trajectory lacks.
    """
    fixed_step = path.steps[-1] if fixed is None else fixed
    if fixed_step not in path.steps:
        known = ", ".join(map(str, path.steps))
        raise UsageError(f"There is no complete step {fixed_step} in this run; its steps are {known}.")
    place, tasks = path.steps.index(fixed_step), len(path.task_keys)
    rules: dict[str, _Rule] = {"boa": lambda rates_SP: np.full(tasks, best_of_adaptation(rates_SP.mean(axis=1)))}
    for p in patience:
        rules[f"early-stop-{p}"] = _early_stop_rule(p, tasks)
    rules[f"fixed-{fixed_step}"] = lambda _: np.full(tasks, place)
    rules["per-task-oracle"] = lambda rates_SP: np.argmax(rates_SP >= rates_SP.max(axis=0) - _TIE, axis=0)

    rates_SP = path.rates_SP
    aggregate = rates_SP.mean(axis=1)
    last = {f"early-stop-{p}": early_stop(aggregate, p)[1] for p in patience} | {f"fixed-{fixed_step}": place}
    halves = _halvings(path, rng, halvings)
    return tuple(
        StepChoice(
            rule=name,
            step=None if name == "per-task-oracle" else path.steps[int(rule(rates_SP)[0])],
            in_batch=_figure(rates_SP, rule(rates_SP)),
            split=None if halves is None else float(np.mean([_figure(b, rule(a)) for a, b in halves])),
            last_step=path.steps[last.get(name, len(path.steps) - 1)],
        )
        for name, rule in rules.items()
    )


def _early_stop_rule(patience: int, tasks: int) -> _Rule:
    return lambda rates_SP: np.full(tasks, early_stop(rates_SP.mean(axis=1), patience)[0])


def _figure(rates_SP: Floats, step_P: NDArray[np.int64]) -> float:
    return float(rates_SP[step_P, np.arange(rates_SP.shape[1])].mean())


def _halvings(path: Trajectory, rng: np.random.Generator, count: int) -> list[tuple[Floats, Floats]] | None:
    """(rates of the choosing half, rates of the reporting half), each halving used both ways round.

    The number of successes in a random half is hypergeometric, so the counts are drawn directly.
    """
    sizes_SP = np.array([[len(of_task) for of_task in of_step] for of_step in path.successes])
    if sizes_SP.min() < 2:
        return None
    won_SP = np.array([[int(of_task.sum()) for of_task in of_step] for of_step in path.successes])
    half_SP = sizes_SP // 2
    found: list[tuple[Floats, Floats]] = []
    for _ in range(count):
        in_half = rng.hypergeometric(won_SP, sizes_SP - won_SP, half_SP)
        a, b = in_half / half_SP, (won_SP - in_half) / (sizes_SP - half_SP)
        found += [(a, b), (b, a)]
    return found
