"""Runs of several rounds: what adaptation changed, and which round to keep.

Over-sharpening would show as falling surprisal, spread and number of distinct programs while success stays or falls.
The rounds' own samples are what is read here: they change together with the weights, so a correlation of one round is
not that of another on the same programs.
"""

import numpy as np

from assay.core.records import Record
from assay.report.analysis_surprisal import usable
from assay.report.analysis_words import count, share
from assay.selection.adaptation import StepChoice, Trajectory, complete_rounds, step_choices, trajectory
from assay.selection.curves import Success
from assay.selection.diagnostics import surprisal_diagnostics
from assay.selection.pool import Pool
from assay.stats.correlation import Correlation
from assay.stats.paired import SignTest, sign_test
from assay.stats.power import sign_test_in_words


class RoundRow(Record):
    """One complete round; shares are means over tasks. distinct: programs over samples that gave one. mean_surprisal:
    over samples; spread: mean within-task standard deviation of the mean log-probability of correct samples. rho: of
    surprisal and speedup; rho_bottom: within the least surprising quartile. None where there is too little.
    """

    round: int
    samples: int
    correct: float
    fast_1_raw: float
    fast_1_verified: float
    solved_verified: float
    distinct: float | None
    mean_surprisal: float | None
    spread: float | None
    rho: Correlation | None
    rho_bottom: Correlation | None


class RoundsTable(Record):
    """A run over its rounds. incomplete: rounds without samples of every task, left out. choices: by rule of success,
    what each rule for a round keeps. test: last complete round against the first, verified share of samples by task.
    """

    run: str
    tasks: int
    rows: tuple[RoundRow, ...]
    incomplete: tuple[int, ...]
    choices: dict[str, tuple[StepChoice, ...]]
    test: SignTest
    in_words: str


def rounds_table(run: str, pool: Pool, rng: np.random.Generator, learns: bool = True) -> RoundsTable | None:
    """The table of a run with at least two complete rounds; None for others. learns: weights change between rounds.

    Where they do not (refinement), a round is a turn, and keeping the best one adapts nothing: the rule is called
    `best-turn`.
    """
    if len(complete_rounds(pool)) < 2:
        return None
    paths: dict[Success, Trajectory] = {"raw": trajectory(pool, "raw"), "verified": trajectory(pool, "verified")}
    path = paths["verified"]
    rows = tuple(_row(step, pool.of_rounds([step])) for step in path.steps)
    choices = {str(rule): _choices(of_rule, rng, learns) for rule, of_rule in paths.items()}
    test = sign_test(path.rates_SP[-1] - path.rates_SP[0])
    return RoundsTable(
        run=run,
        tasks=len(path.task_keys),
        rows=rows,
        incomplete=path.incomplete,
        choices=choices,
        test=test,
        in_words=_words(rows, choices["verified"], test, learns),
    )


def _row(step: int, pool: Pool) -> RoundRow:
    tasks = [samples for _, samples in pool.by_task()]
    found = surprisal_diagnostics(pool)
    kept = pool.samples
    programs, task_N = kept.candidate[kept.candidate >= 0], pool.task[kept.candidate >= 0]
    distinct = len(set(zip(task_N.tolist(), programs.tolist(), strict=True)))
    surprisal = -kept.mean_logprob[np.isfinite(kept.mean_logprob)]
    stds = list(found.within_task_std.values())
    bottom = next((quartile.correlation for quartile in found.quartiles if quartile.quartile == 1), None)
    return RoundRow(
        round=step,
        samples=len(pool),
        correct=float(np.mean([samples.is_correct.mean() for samples in tasks])),
        fast_1_raw=float(np.mean([samples.is_fast_raw.mean() for samples in tasks])),
        fast_1_verified=float(np.mean([samples.is_fast_verified.mean() for samples in tasks])),
        solved_verified=float(np.mean([samples.is_fast_verified.any() for samples in tasks])),
        distinct=distinct / len(programs) if len(programs) else None,
        mean_surprisal=float(surprisal.mean()) if len(surprisal) else None,
        spread=float(np.mean(stds)) if stds else None,
        rho=found.pooled if usable(kept).any() else None,
        rho_bottom=bottom,
    )


def _choices(path: Trajectory, rng: np.random.Generator, learns: bool) -> tuple[StepChoice, ...]:
    found = step_choices(path, rng)
    return found if learns else (found[0].model_copy(update={"rule": "best-turn"}), *found[1:])


def _words(rows: tuple[RoundRow, ...], choices: tuple[StepChoice, ...], test: SignTest, learns: bool) -> str:
    boa, unit = choices[0], "round" if learns else "turn"
    keeps = "Best-of-adaptation keeps" if learns else "The best by its own samples is"
    said = f"{keeps} {unit} {boa.step} of {count(len(rows), unit)} at {share(boa.in_batch)} verified,"
    if boa.split is None:
        said += " a figure from the very samples that chose it, and too high."
    else:
        said += (
            " a figure from the very samples that chose it; chosen on one half of the samples and read from the other"
            f" it is {share(boa.split)}, beside {share(rows[0].fast_1_verified)} in {unit} {rows[0].round}."
        )
    said += f" {sign_test_in_words(test, f'{unit} {rows[-1].round}', f'{unit} {rows[0].round}')}"
    return f"{said}{_sharpening(rows)}" if learns else f"{said} No weights change between turns."


def _sharpening(rows: tuple[RoundRow, ...]) -> str:
    """What the rounds' own samples say of over-sharpening, which is never more than a hint."""
    first, last = rows[0], rows[-1]
    if first.mean_surprisal is None or last.mean_surprisal is None:
        return ""
    said = f" Mean surprisal goes from {first.mean_surprisal:.2f} to {last.mean_surprisal:.2f} nats a token"
    if first.distinct is not None and last.distinct is not None:
        said += f" and distinct programs from {share(first.distinct)} to {share(last.distinct)}"
    return f"{said}, of samples that change with the weights: a probe (`assay probe`) tells the two apart."
