"""The part of each run that a comparison is made of, and what that part cost: all of it, or as much as a budget buys.

A run of one round is a draw of samples that are alike, so a budget buys any K of them: figures are averaged over all
K-subsets (exact estimators), while tests, which need one outcome a task, take the first K in drawn order. A run of
several rounds is a sequence, so a budget buys its first rounds, whole ones only.

Only what was spent on the tasks that all runs share counts, and what belongs to no task, such as an update, in full.
Axis suffix: N samples.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.core.records import Record
from assay.report.compare_runs import Arm, ComparedRun
from assay.selection.pool import Pool

Resource = Literal["rollouts", "tokens"]
RESOURCES: tuple[Resource, ...] = ("rollouts", "tokens")
AMOUNTS = tuple(name for name in Spend.model_fields if name != "dollars")

# Amounts that are closer than this are called the same; only rollouts, which are counted out, must agree exactly.
TOLERANCE = 0.10
_ROUNDING = 1e-9


class Budget(Record):
    """A spend that every run is cut to: `rollouts`, or `tokens` (prompt, completion and teacher), over all tasks."""

    resource: Resource
    amount: float


class BudgetLine(Record):
    """One resource; amounts: mean over the runs of each side. is_matched: they differ by less than the tolerance."""

    resource: str
    amounts: tuple[float, ...]
    is_matched: bool


@dataclass(frozen=True)
class Part:
    """The part of a run that is compared. pool: its samples, on the shared tasks; whole: what figures are averaged
    over, other than `pool` only where one round was cut. k: samples a task, the fewest. amounts: what it cost, in
    proportion to the samples where one round was cut. is_cut: not all of the run.
    """

    run: ComparedRun
    pool: Pool
    whole: Pool
    k: int
    rounds: tuple[int, ...]
    amounts: dict[str, float]
    is_cut: bool

    @property
    def is_averaged(self) -> bool:
        """Its figures are averages over subsets of a larger draw."""
        return len(self.whole) > len(self.pool)


def parse_budget(text: str) -> Budget:
    """`rollouts=160` or `tokens=50000`. UsageError for anything else."""
    resource, _, amount = text.partition("=")
    for known in RESOURCES:
        if resource.strip() == known and amount.strip().isdecimal() and int(amount) > 0:
            return Budget(resource=known, amount=int(amount))
    raise UsageError(f"--at {text}: write rollouts=N or tokens=N with a positive whole number, as in rollouts=160")


def cut(arms: Sequence[Arm], tasks: Sequence[str], budget: Budget | None) -> tuple[tuple[Part, ...], ...]:
    """The parts of every side's runs on `tasks`; with a budget, as much of each run as it buys.

    Rounds are whole, so runs of several rounds may fall short of the budget; single rounds are then cut to the same.
    UsageError where the budget buys less than a sample a task, or less than a round.
    """
    if budget is None:
        return tuple(tuple(_whole(run, tasks) for run in arm.runs) for arm in arms)
    several = [run for arm in arms for run in arm.runs if len(run.view.rounds) > 1]
    first = {run.label: _first_rounds(run, tasks, budget) for run in several}
    spent = [_amount(part.amounts, budget.resource) for part in first.values()]
    reached = budget.model_copy(update={"amount": min([budget.amount, *spent])})
    return tuple(tuple(first.get(run.label) or _first_samples(run, tasks, reached) for run in arm.runs) for arm in arms)


def budget_lines(parts: Sequence[Sequence[Part]]) -> tuple[BudgetLine, ...]:
    """Every resource that some side spent, and the sum of tokens; `parts` by side."""
    lines = []
    for name in (*AMOUNTS[:1], "tokens", *AMOUNTS[1:]):
        amounts = tuple(float(np.mean([_amount(part.amounts, name) for part in side])) for side in parts)
        if any(amounts):
            tolerance = 0.0 if name == "rollouts" else TOLERANCE
            is_matched = max(amounts) - min(amounts) <= tolerance * max(amounts) + _ROUNDING
            lines.append(BudgetLine(resource=name, amounts=amounts, is_matched=is_matched))
    return tuple(lines)


def shared_tasks(arms: Sequence[Arm]) -> tuple[str, ...]:
    """The tasks on which every run has judged samples, in the first run's order. UsageError if there is none."""
    runs = [run for arm in arms for run in arm.runs]
    keys = [key for key in runs[0].view.pool.task_keys if all(key in run.view.pool.task_keys for run in runs)]
    if not keys:
        raise UsageError("the runs share no task on which all of them have judged samples")
    return tuple(keys)


# -- parts ------------------------------------------------------------------------------------------------------


def _whole(run: ComparedRun, tasks: Sequence[str]) -> Part:
    pool = run.view.pool.of_tasks(tasks)
    return Part(run, pool, pool, _fewest(pool), run.view.rounds, _amounts(run, tasks), is_cut=False)


def _first_samples(run: ComparedRun, tasks: Sequence[str], budget: Budget) -> Part:
    whole = _whole(run, tasks)
    if run.view.shortlist is not None and run.view.shortlist.rank != "random":
        raise UsageError(
            f"{run.view.name} evaluated a shortlist by {run.view.shortlist.rank}: its judged samples are no random"
            " ones, so no smaller draw can be told from them. Compare it without --at."
        )
    total = _amount(whole.amounts, budget.resource)
    k = min(whole.k, int(budget.amount * whole.k / total + _ROUNDING)) if total else whole.k
    if k < 1:
        raise UsageError(
            f"--at {budget.resource}={budget.amount:.0f} buys less than one sample a task of {run.view.name}:"
            f" give at least {int(np.ceil(total / whole.k))}"
        )
    if k == whole.k:
        return whole
    share = k / whole.k
    amounts = {name: amount * share for name, amount in whole.amounts.items()}
    return Part(run, first_of_each(whole.pool, k), whole.pool, k, whole.rounds, amounts, is_cut=True)


def _first_rounds(run: ComparedRun, tasks: Sequence[str], budget: Budget) -> Part:
    whole = _whole(run, tasks)
    kept: list[int] = []
    for round in run.view.rounds:
        if _amount(_amounts(run, tasks, (*kept, round)), budget.resource) > budget.amount + _ROUNDING:
            break
        kept.append(round)
    if not kept:
        least = _amount(_amounts(run, tasks, run.view.rounds[:1]), budget.resource)
        raise UsageError(
            f"--at {budget.resource}={budget.amount:.0f} buys less than the first round of {run.view.name}:"
            f" give at least {int(np.ceil(least))}"
        )
    if len(kept) == len(run.view.rounds):
        return whole
    pool = whole.pool.of_rounds(kept)
    return Part(run, pool, pool, _fewest(pool), tuple(kept), _amounts(run, tasks, kept), is_cut=True)


def _amounts(run: ComparedRun, tasks: Iterable[str], rounds: Iterable[int] | None = None) -> dict[str, float]:
    """What was spent on these tasks in these rounds (None = all); measuring winners again belongs to no round."""
    wanted, kept = {None, *tasks}, None if rounds is None else {None, *rounds}
    total = dict.fromkeys(AMOUNTS, 0.0)
    for entry in run.spending:
        if entry.task_key in wanted and (kept is None or entry.round in kept):
            for name in AMOUNTS:
                total[name] += getattr(entry.spend, name)
    return total


def _amount(amounts: dict[str, float], resource: str) -> float:
    if resource == "tokens":
        return sum(amounts[name] for name in ("prompt_tokens", "completion_tokens", "teacher_tokens"))
    return amounts[resource]


def _fewest(pool: Pool) -> int:
    return int(np.diff(pool.offsets).min())


def first_of_each(pool: Pool, k: int) -> Pool:
    """The first `k` samples of every task, in drawn order."""
    counts = np.minimum(np.diff(pool.offsets), k)
    place_N = np.arange(len(pool)) - pool.offsets[pool.task]
    return Pool(pool.task_keys, np.append(0, np.cumsum(counts)).astype(np.int64), pool.samples.take(place_N < k))
