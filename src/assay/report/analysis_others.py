"""Other runs beside the first one: how many of its samples each of their figures is worth.

Axis suffixes: P tasks.
"""

from collections.abc import Sequence

import numpy as np

from assay.core.records import Record
from assay.report.analysis_curves import RULES
from assay.report.analysis_runs import RunView, with_samples
from assay.report.analysis_words import inside
from assay.selection.adaptation import complete_rounds, step_choices, trajectory
from assay.selection.curves import Curve, Success, curve_of, is_success, success_values
from assay.selection.outcomes import success_interval
from assay.selection.pool import Floats, Pool
from assay.stats.best_of_k import EquivalentK
from assay.stats.intervals import Interval
from assay.stats.paired import SignTest, sign_test
from assay.stats.power import sign_test_in_words


class OnTheCurve(Record):
    """A figure of another run on the first run's best-of-K curve of the tasks that they share.

    samples: how many of its samples a task the figure is made from. low, high: where the ends of the figure's interval
    lie on the curve, which itself is taken as exact. None on a flat curve, where no K stands out.
    """

    run: str
    metric: str
    rule: Success
    tasks: int
    samples: int
    figure: float
    interval: Interval | None
    equivalent_k: EquivalentK | None
    low: EquivalentK | None
    high: EquivalentK | None


class OtherRuns(Record):
    """Other runs on the first run's curve; tests: last round against the first run's samples, by task, verified."""

    rows: tuple[OnTheCurve, ...]
    tests: dict[str, SignTest]
    in_words: str


def other_runs(first: RunView, others: Sequence[RunView], rng: np.random.Generator) -> OtherRuns:
    """Every other run's figures on the first run's curve, and whether its samples are better, task by task."""
    rows: list[OnTheCurve] = []
    tests, said = {}, []
    for other in others:
        shared = set(first.first_round.task_keys) & set(other.pool.task_keys)
        base, pool = first.first_round.of_tasks(shared), with_samples(other.pool.of_tasks(shared))
        for rule in RULES:
            curve = curve_of(*success_values(base, rule))
            rows += [_placed(curve, other.name, rule, *figure, rng) for figure in _figures(pool, rule, rng)]
        last = other.last_round.of_tasks(shared)
        differences = rates(last, "verified") - rates(base.of_tasks(last.task_keys), "verified")
        tests[other.name] = sign_test(differences)
        said.append(
            f"By the share of verified samples: {inside(sign_test_in_words(tests[other.name], other.name, first.name))}"
            " An equivalent K below 1 says that one sample of the first run does better."
        )
    return OtherRuns(rows=tuple(rows), tests=tests, in_words=" ".join(said))


def _figures(pool: Pool, rule: Success, rng: np.random.Generator) -> list[tuple[str, int, float, Floats | None]]:
    """(metric, samples a task, figure, the figure by task) of a run: of single samples, and of whole tasks."""
    rounds = np.unique(pool.samples.round).tolist()
    last = with_samples(pool.of_rounds(rounds[-1:]))
    rates_P = rates(last, rule)
    found: list[tuple[str, int, float, Floats | None]] = [
        (f"one sample of round {rounds[-1]}", 1, float(rates_P.mean()), rates_P)
    ]
    if len(complete_rounds(pool)) > 1:
        boa = step_choices(trajectory(pool, rule), rng)[0]
        found.append((f"one sample of the best round ({boa.step}), chosen on these samples", 1, boa.in_batch, None))
        if boa.split is not None:
            found.append(("one sample of the best round, chosen on the other half", 1, boa.split, None))
    solved_P = np.array([float(is_success(samples, rule).any()) for _, samples in pool.by_task()])
    found.append(("any of its samples", int(np.diff(pool.offsets).min()), float(solved_P.mean()), solved_P))
    return found


def _placed(
    curve: Curve,
    run: str,
    rule: Success,
    metric: str,
    samples: int,
    figure: float,
    values_P: Floats | None,
    rng: np.random.Generator,
) -> OnTheCurve:
    interval = None if values_P is None else success_interval(values_P, rng)
    return OnTheCurve(
        run=run,
        metric=metric,
        rule=rule,
        tasks=curve.tasks,
        samples=samples,
        figure=figure,
        interval=interval,
        equivalent_k=on_curve(curve, figure),
        low=interval and on_curve(curve, interval.low),
        high=interval and on_curve(curve, interval.high),
    )


def on_curve(curve: Curve, figure: float) -> EquivalentK | None:
    """The K at which `curve` reaches `figure`; None if it is flat."""
    return curve.equivalent_k(figure) if curve.values[-1] - curve.values[0] > 1e-12 else None


def rates(pool: Pool, rule: Success) -> Floats:
    """Share of successes of each task, shape (P,)."""
    return np.array([is_success(samples, rule).mean() for _, samples in pool.by_task()])
