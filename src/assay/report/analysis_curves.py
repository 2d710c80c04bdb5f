"""How far samples, selectors and evaluations go: curves over K and over m, with intervals.

Axis suffixes: P tasks, K sizes.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from assay.core.records import Record
from assay.report.analysis_words import (
    count,
    p_words,
    share,
    tasks_for_gain,
    tasks_for_rate,
    tasks_for_two_shares,
    with_interval,
)
from assay.selection.curves import (
    Order,
    Success,
    curve_intervals,
    evaluated_first_values,
    log_speedup_values,
    selector_values,
    success_values,
)
from assay.selection.pool import NO_VERDICT, Floats, Ints, Pool
from assay.selection.selectors import Selector
from assay.selection.shortlist import Shortlist
from assay.stats.best_of_k import default_ks
from assay.stats.intervals import Interval
from assay.stats.random_pick import RandomPickTest, random_pick_test, tasks_for_random_pick

RULES: tuple[Success, ...] = ("raw", "verified")
ALPHA = 0.05
ORDERS: tuple[Order, ...] = ("surprisal", "confidence", "random")


class CurvePoint(Record):
    """The figure at one size; interval over tasks, None where the data allow none."""

    k: int
    value: float
    interval: Interval | None


class TwoRules(Record):
    """One curve under the published rule (the point estimate is above 1) and under the verdict."""

    raw: tuple[CurvePoint, ...]
    verified: tuple[CurvePoint, ...]


class Scaling(Record):
    """Curves over K samples a task. fast_1: at least one success among K. speedup: geometric mean over tasks of the
    fastest of K, the reference where there is none. selectors: success of the one sample that a selector keeps of K;
    selectors_in_words: what these curves support.
    """

    tasks: int
    samples_per_task: int
    fast_1: TwoRules
    speedup: TwoRules
    selectors: dict[str, TwoRules]
    selectors_in_words: str
    in_words: str


class EvaluatedFirst(Record):
    """Success when only the first m samples of a task are evaluated, by the order in which they are.

    test: whether the surprisal order is a random one, by the tasks with a verified success among its first `tested_m`;
    tasks_needed: to show a surplus of the observed size. None where only one order is known.
    """

    tasks: int
    samples_per_task: int
    orders: dict[str, TwoRules]
    tested_m: int | None
    test: RandomPickTest | None
    tasks_needed: int | None
    in_words: str


def scaling(pool: Pool, selectors: Sequence[Selector], rng: np.random.Generator) -> Scaling:
    """The curves of a pool of independent draws from one snapshot, every task with at least one."""
    n = int(np.diff(pool.offsets).min())
    fast_1 = _two_rules({rule: success_values(pool, rule) for rule in RULES}, rng)
    speedups: dict[Success, tuple[Ints, Floats]] = {rule: log_speedup_values(pool, rule) for rule in RULES}
    by_selector = {}
    for selector in selectors:
        sizes, values = selector_values(pool, selector)
        by_selector[selector.name] = _two_rules({rule: (sizes, values[rule]) for rule in RULES}, rng)
    return Scaling(
        tasks=len(pool.task_keys),
        samples_per_task=n,
        fast_1=fast_1,
        speedup=_exponential(_two_rules(speedups, rng)),
        selectors=by_selector,
        selectors_in_words=_selectors_words(by_selector, len(pool.task_keys)),
        in_words=_scaling_words(len(pool.task_keys), fast_1, _has_verdicts(pool)),
    )


def evaluated_first(pool: Pool, shortlist: Shortlist | None, rng: np.random.Generator) -> EvaluatedFirst:
    """Success against m for every order; of a run that evaluated a shortlist, for the order of that alone."""
    n = int(np.diff(pool.offsets).min())
    orders = ORDERS if shortlist is None else (shortlist.rank,)
    values: dict[Order, dict[Success, tuple[Ints, Floats]]] = {
        order: {rule: evaluated_first_values(pool, order, rule) for rule in RULES} for order in orders
    }
    found: dict[Order, TwoRules] = {order: _two_rules(of_order, rng) for order, of_order in values.items()}
    tested_m, test, needed = None, None, None
    if shortlist is None:
        sizes = default_ks(n)
        place = int(np.searchsorted(sizes, max(1, n // 8)))
        tested_m = int(sizes[place])
        solved_P, chance_P = (values[order]["verified"][1][:, place] for order in ("surprisal", "random"))
        test, needed = random_pick_test(solved_P, chance_P), tasks_for_random_pick(solved_P, chance_P)
    return EvaluatedFirst(
        tasks=len(pool.task_keys),
        samples_per_task=n,
        orders={str(order): curve for order, curve in found.items()},
        tested_m=tested_m,
        test=test,
        tasks_needed=needed,
        in_words=_first_words(found, tested_m, test, needed, len(pool.task_keys)),
    )


# -- parts ------------------------------------------------------------------------------------------------------


def _two_rules(values: Mapping[Success, tuple[Ints, Floats]], rng: np.random.Generator) -> TwoRules:
    return TwoRules(raw=_points(*values["raw"], rng), verified=_points(*values["verified"], rng))


def _points(sizes: Ints, values_PK: Floats, rng: np.random.Generator) -> tuple[CurvePoint, ...]:
    found = zip(sizes.tolist(), values_PK.mean(axis=0).tolist(), curve_intervals(values_PK, rng), strict=True)
    return tuple(CurvePoint(k=k, value=value, interval=interval) for k, value, interval in found)


def _exponential(logs: TwoRules) -> TwoRules:
    """Mean logarithms as geometric means; a task without a success is worth 1, so no binomial interval applies."""

    def carried(point: CurvePoint) -> CurvePoint:
        interval = point.interval
        if interval is not None and interval.method == "clopper-pearson":
            interval = None
        if interval is not None:
            ends = {"low": float(np.exp(interval.low)), "high": float(np.exp(interval.high))}
            interval = interval.model_copy(update=ends)
        return CurvePoint(k=point.k, value=float(np.exp(point.value)), interval=interval)

    return TwoRules(raw=tuple(map(carried, logs.raw)), verified=tuple(map(carried, logs.verified)))


def _has_verdicts(pool: Pool) -> bool:
    """False where programs were correct and none has a verdict: under KernelBench's rule."""
    correct = pool.samples.is_correct
    return not correct.any() or bool((pool.samples.verdict[correct] != NO_VERDICT).any())


def _scaling_words(tasks: int, fast_1: TwoRules, has_verdicts: bool) -> str:
    last, raw = fast_1.verified[-1], fast_1.raw[-1]
    if not has_verdicts:
        return (
            f"With {count(raw.k, 'sample')} a task, {with_interval(raw.value, raw.interval)} of {count(tasks, 'task')}"
            " have a program with a point estimate above 1, noise included; this rule has no verdicts, so nothing more"
            f" can be said. About {tasks_for_rate(raw.value)} tasks would bring that share to within 10 points."
        )
    said = (
        f"With {count(last.k, 'sample')} a task, {with_interval(last.value, last.interval)} of {count(tasks, 'task')}"
        f" have a program with the verdict `faster`; the raw rule says {share(raw.value)}, noise included."
    )
    if len(fast_1.verified) > 1:
        before = fast_1.verified[-2]
        gain = max(0.0, last.value - before.value)
        needed = tasks_for_gain(gain)
        if needed is None:
            said += (
                f" From K = {before.k} to {last.k} nothing was gained, which does not show that more would not help."
            )
        else:
            said += (
                f" From K = {before.k} to {last.k} the verified share rises by {100 * gain:.1f} points; a paired test"
                f" would need about {needed} tasks to show a gain of that size."
            )
    return (
        f"{said} The intervals hold for one K at a time and for tasks like these; about"
        f" {tasks_for_rate(last.value)} tasks would bring the verified share to within 10 points."
    )


def _selectors_words(curves: Mapping[str, TwoRules], tasks: int) -> str:
    """At the largest K: the best of the selectors that choose before timing everything, beside a random pick."""
    last = {name: curve.verified[-1] for name, curve in curves.items()}
    chance, choices = last.get("random-correct"), [n for n in last if n not in ("oracle", "random-correct")]
    if chance is None or not choices:
        return ""
    best = max(choices, key=lambda name: last[name].value)
    said = (
        f"Of {count(chance.k, 'sample')} a task {best} keeps a verified one on {share(last[best].value)} of"
        f" {count(tasks, 'task')}, a random correct sample is one on {share(chance.value)}."
    )
    needed = tasks_for_two_shares(*(min(1.0, max(0.0, last[name].value)) for name in (best, "random-correct")))
    if needed is None:
        said += " The two do not differ here, so there is no size to plan for."
    else:
        said += f" About {needed} tasks on each side would show such a difference of two separate runs; on one pool"
        said += " the paired tests of the selectors need fewer."
    return f"{said} The best of several curves is flattered by having been picked."


def _first_words(
    orders: Mapping[Order, TwoRules], m: int | None, test: RandomPickTest | None, needed: int | None, tasks: int
) -> str:
    if m is None or test is None:
        ((order, curve),) = orders.items()
        last = curve.verified[-1]
        how = "in random order" if order == "random" else f"by {order}"
        return (
            f"Evaluating the first {last.k} of each task {how} solves"
            f" {with_interval(last.value, last.interval)} of {count(tasks, 'task')}; what the samples that were set"
            " aside would have given is not known, so nothing is said of other orders or of more evaluations. About"
            f" {tasks_for_rate(last.value)} tasks would bring this share to within 10 points."
        )
    figures = {order: next(p.value for p in curve.verified if p.k == m) for order, curve in orders.items()}
    shown = ", ".join(f"{order} {share(figure)}" for order, figure in figures.items())
    said = f"With {count(m, 'evaluation')} a task the verified share of {count(tasks, 'task')} is: {shown}."
    if test.p_value is None:
        return (
            f"{said} On no task can a random order go either way, so these data cannot tell the orders apart, however"
            f" many such tasks there are; about {tasks_for_rate(figures['random'])} tasks would bring the share itself"
            " to within 10 points."
        )
    is_supported = test.p_value <= ALPHA
    said += f" That the surprisal order differs from a random one is {'' if is_supported else 'not '}supported"
    said += f" (exact test over {count(test.deciding, 'deciding task')}, {p_words(test.p_value)})"
    if is_supported or needed is None:
        return f"{said}."
    return f"{said}; about {needed} tasks like these would show a surplus of the observed size."
