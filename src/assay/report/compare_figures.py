"""The figures of one side of a comparison, by task and over all tasks, under both rules and on both metrics.

Two metrics that must not be mixed stand side by side for every run: the success of whole tasks (any sample of the
budget) and the rate of single samples. A published comparison of "90%" with "30.6%" set the one against the other.

Axis suffixes: P tasks, R runs of a side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from assay.core.records import Evaluation, Record
from assay.report.compare_cut import Part, first_of_each
from assay.report.compare_runs import Arm
from assay.runs.winners import pick_fastest
from assay.selection.adaptation import complete_rounds, step_choices, trajectory
from assay.selection.curves import Success, is_success, success_values
from assay.selection.outcomes import success_interval
from assay.selection.pool import Floats, Pool
from assay.stats.intervals import Interval, bootstrap_tasks

RULES: tuple[Success, ...] = ("raw", "verified")


class Figure(Record):
    """A mean over tasks and runs. std: between runs of other seeds (n-1), None for a single run.

    interval: over tasks; None where the data allow none.
    """

    value: float
    std: float | None
    interval: Interval | None


class AdaptedRates(Record):
    """Rates of single samples of a run of several rounds: of its last round, and of the one that best-of-adaptation
    keeps, chosen on one half of the samples and read from the other; chosen_here: read from those that chose it.
    """

    last_round: Figure
    best_round: Figure | None
    chosen_here: Figure


class SideFigures(Record):
    """One side. samples: of a task, in the part that is compared, of `rounds`; is_averaged: some figures are averages
    over the K-subsets of a larger draw. success: share of tasks with at least one success; rate: share of a task's
    samples, mean over tasks. adapted: None for runs of one round.

    confirmed: share of tasks that end with a program that was `faster` at first look, and again when measured afresh.
    speedup: geometric mean over tasks of what a run leaves its user with, which is that program's speedup as measured
    afresh, and 1 where there is none. wins: the same over those tasks alone. Both over the `known` tasks, on which what
    was picked was also measured again. None where there is nothing to be averaged.
    """

    name: str
    runs: tuple[str, ...]
    seeds: tuple[int | None, ...]
    model: str
    strategy: str
    device: str
    rule: str
    samples: int
    rounds: tuple[int, ...]
    is_cut: bool
    is_averaged: bool
    correct: Figure
    success: dict[Success, Figure]
    rate: dict[Success, Figure]
    adapted: dict[Success, AdaptedRates] | None
    confirmed: Figure | None
    speedup: Figure | None
    wins: Figure | None
    known: int


@dataclass(frozen=True)
class Measures:
    """Figures by task, shape (P,), means over a side's runs. NaN where a task's figure is not known.

    success, rate: averaged over subsets where one round was cut; drawn: success of the samples that were drawn first.
    log_speed: see `SideFigures.speedup`.
    """

    success: dict[Success, Floats]
    rate: dict[Success, Floats]
    drawn: dict[Success, Floats]
    log_speed: Floats
    is_confirmed: Floats


class Winner(Record):
    """What a run picks on a task. again: the picked program's speedup as measured afresh, None if it was not.

    leaves: what the user is left with; None where that is not known, since what was picked was not measured again.
    """

    candidate_hash: str | None
    is_picked_faster: bool
    again: float | None
    low: float | None
    high: float | None
    is_confirmed: bool | None
    leaves: float | None


def side_figures(arm: Arm, parts: Sequence[Part], rng: np.random.Generator) -> SideFigures:
    """The figures of a side, from the parts of its runs on the same tasks."""
    each = [measures([part]) for part in parts]
    known = ~np.isnan(np.mean([one.log_speed for one in each], axis=0))
    first, view = parts[0], arm.runs[0].view
    wins = [one.log_speed[(one.is_confirmed == 1) & known] for one in each]
    has_rounds = all(len(complete_rounds(part.pool)) > 1 for part in parts)
    return SideFigures(
        name=arm.name,
        runs=tuple(run.view.name for run in arm.runs),
        seeds=tuple(run.seed for run in arm.runs),
        model=view.model,
        strategy=view.strategy,
        device=", ".join(sorted({machine for run in arm.runs for machine in run.machines if machine != "none"})),
        rule=view.rule,
        samples=min(part.k for part in parts),
        rounds=first.rounds,
        is_cut=any(part.is_cut for part in parts),
        is_averaged=any(part.is_averaged for part in parts),
        correct=_figure([_shares(part.whole, lambda samples: samples.is_correct) for part in parts], rng),
        success={rule: _figure([one.success[rule] for one in each], rng, is_outcome=True) for rule in RULES},
        rate={rule: _figure([one.rate[rule] for one in each], rng) for rule in RULES},
        adapted={rule: _adapted(parts, rule, rng) for rule in RULES} if has_rounds else None,
        confirmed=_figure([one.is_confirmed[known] for one in each], rng, is_outcome=True) if known.any() else None,
        speedup=_ratio([one.log_speed[known] for one in each], rng) if known.any() else None,
        wins=_ratio([np.concatenate(wins)], rng) if sum(map(len, wins)) else None,
        known=int(known.sum()),
    )


def measures(parts: Sequence[Part]) -> Measures:
    """Figures by task, means over the runs of a side."""
    winners_RP = [[winner(part, key) for key in part.pool.task_keys] for part in parts]
    leaves_RP = [[_or_nan(one.leaves) for one in row] for row in winners_RP]
    return Measures(
        success={rule: np.mean([_success(part, rule) for part in parts], axis=0) for rule in RULES},
        rate={rule: np.mean([rates(part.whole, rule) for part in parts], axis=0) for rule in RULES},
        drawn={rule: np.mean([_solved(part.pool, rule) for part in parts], axis=0) for rule in RULES},
        log_speed=np.mean(np.log(leaves_RP), axis=0),
        is_confirmed=np.mean([[_or_nan(one.is_confirmed) for one in row] for row in winners_RP], axis=0),
    )


def first_rates(parts: Sequence[Part], rule: Success, k: int) -> Floats:
    """Rate of single samples among the first `k` of each task, mean over the runs of a side, shape (P,)."""
    return np.mean([rates(first_of_each(part.pool, k), rule) for part in parts], axis=0)


def rates(pool: Pool, rule: Success) -> Floats:
    """Share of successes of each task, shape (P,)."""
    return _shares(pool, lambda samples: is_success(samples, rule))


def winner(part: Part, task: str) -> Winner:
    """What a run picks among the programs of the part that is compared, by the rule that runs pick by."""
    samples = part.pool.of(part.pool.task_keys.index(task))
    kept = set(zip(samples.round.tolist(), samples.index.tolist(), strict=True))
    hashes = dict.fromkeys(program for place, program in part.run.programs[task].items() if place in kept)
    looks = [part.run.looks[task, program] for program in hashes if (task, program) in part.run.looks]
    return _as_winner(next(iter(pick_fastest(looks, 1)), None), part, task)


def _as_winner(picked: Evaluation | None, part: Part, task: str) -> Winner:
    again = None if picked is None else part.run.again.get((task, picked.candidate_hash))
    speedup = None if again is None else again.speedup
    is_faster = picked is not None and picked.is_verified_faster
    is_confirmed = False if not is_faster else None if again is None else again.is_verified_faster
    return Winner(
        candidate_hash=None if picked is None else picked.candidate_hash,
        is_picked_faster=is_faster,
        again=None if speedup is None else speedup.ratio,
        low=None if speedup is None else speedup.low,
        high=None if speedup is None else speedup.high,
        is_confirmed=is_confirmed,
        leaves=None if is_confirmed is None else speedup.ratio if is_confirmed and speedup is not None else 1.0,
    )


# -- parts ------------------------------------------------------------------------------------------------------


def _success(part: Part, rule: Success) -> Floats:
    if not part.is_averaged:
        return _solved(part.pool, rule)
    return success_values(part.whole, rule, [part.k])[1][:, 0]


def _solved(pool: Pool, rule: Success) -> Floats:
    return np.array([float(is_success(samples, rule).any()) for _, samples in pool.by_task()])


def _shares(pool: Pool, holds: Callable) -> Floats:
    return np.array([float(holds(samples).mean()) for _, samples in pool.by_task()])


def _adapted(parts: Sequence[Part], rule: Success, rng: np.random.Generator) -> AdaptedRates:
    last, split, here = [], [], []
    for part in parts:
        path = trajectory(part.pool, rule)
        last.append(path.rates_SP[-1])
        choice = step_choices(path, rng)[0]
        here.append(np.array([choice.in_batch]))
        split += [] if choice.split is None else [np.array([choice.split])]
    best = _figure(split, rng) if len(split) == len(parts) else None
    return AdaptedRates(last_round=_figure(last, rng), best_round=best, chosen_here=_figure(here, rng))


def _figure(values_RP: Sequence[Floats], rng: np.random.Generator, *, is_outcome: bool = False) -> Figure:
    """is_outcome: of whole tasks, so that the exact binomial interval holds where all are alike."""
    mean_P, by_run = np.mean(values_RP, axis=0), [float(values.mean()) for values in values_RP]
    std = float(np.std(by_run, ddof=1)) if len(by_run) > 1 else None
    interval = success_interval(mean_P, rng) if is_outcome else bootstrap_tasks(mean_P, rng)
    return Figure(value=float(np.clip(mean_P.mean(), 0, 1)), std=std, interval=interval)


def _ratio(logs_RP: Sequence[Floats], rng: np.random.Generator) -> Figure:
    mean_P, by_run = np.mean(logs_RP, axis=0), [float(np.exp(logs.mean())) for logs in logs_RP]
    found = bootstrap_tasks(mean_P, rng)
    interval = found and found.model_copy(update={"low": float(np.exp(found.low)), "high": float(np.exp(found.high))})
    std = float(np.std(by_run, ddof=1)) if len(by_run) > 1 else None
    return Figure(value=float(np.exp(mean_P.mean())), std=std, interval=interval)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)
