"""The over-sharpening probe as tables: surprisal against speedup on one fixed pool, checkpoint by checkpoint.

The samples are the same throughout, so what changes from step to step is only what the weights find surprising. rho is
that of surprisal (minus the mean log-probability) and speedup: where it falls, the faster programs of the pool become
less surprising beside the others; where it rises, more. A change is claimed only where its interval leaves 0 out.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from assay.core.ledger import Spend
from assay.core.records import Record, Verdict
from assay.report.analysis_words import count
from assay.runs.pools import BOOTSTRAP_SEED
from assay.runs.probe import Probe, ProbeSample, stored_probes
from assay.selection.outcomes import MIN_WITHIN_TASK_STD
from assay.selection.pool import Floats
from assay.stats.clustered import PathRho, rho_path
from assay.stats.correlation import spearman, within_task_std
from assay.stats.power import tasks_for_interval

RULES = ("verified", "raw")
BOTTOM = 0.25


class ProbeRho(Record):
    """Surprisal against speedup by one rule: over all samples, in the quartile that the step finds least surprising,
    and within tasks (mean of each task's rho, over `tasks_with_rho` tasks), which is what a selector can use.
    """

    overall: PathRho
    bottom: PathRho
    within_task: float | None
    tasks_with_rho: int


class ProbeRow(Record):
    """One checkpoint. surprisal: mean over samples, in nats a token. spread: mean over tasks of the standard deviation
    of surprisal within one, None where no task has two samples; is_arbitrary: it is so small that selection by
    surprisal is close to arbitrary. rho: by rule, `verified` None under KernelBench's rule, which has no verdicts.
    """

    step: int
    snapshot_id: str
    surprisal: float
    spread: float | None
    is_arbitrary: bool
    rho: dict[str, ProbeRho | None]


class ProbeTable(Record):
    """A probe of `run`. correct: samples of the pool with a speedup, of `samples` in all, of `tasks` tasks.

    is_null: the speedups are those of identical copies of the references, see `probe_null`.
    agreement: largest difference, in nats a token, between what a pool's samples were drawn with and what the step of
    those same weights says of them; None where no step has these weights. spent: on scoring, beside the run's ledger.
    """

    run: str
    pool: str
    round: int
    samples: int
    correct: int
    tasks: int
    rows: tuple[ProbeRow, ...]
    agreement: float | None
    spent: Spend
    in_words: str
    is_null: bool = False


def probe_tables(run: Path) -> tuple[ProbeTable, ...]:
    """Every stored probe of a run; none where it was never probed."""
    return tuple(probe_table(run, one) for one in stored_probes(run))


def probe_table(run: Path, found: Probe, is_null: bool = False) -> ProbeTable:
    """The table of a probe, as far as it has come; the same probe gives the same table. is_null: as `ProbeTable`."""
    samples = found.pool.samples
    tokens_N = np.array([one.n_tokens for one in samples], float)
    sums_SN = np.array([[step.sums[one.id] for one in samples] for step in found.steps])
    surprisal_SN = -sums_SN / tokens_N
    tasks = [one.task_key for one in samples]
    by_rule = {rule: _rhos(surprisal_SN, speedups(samples, rule), tasks) for rule in RULES}
    rows = []
    for place, step in enumerate(found.steps):
        stds = list(within_task_std(surprisal_SN[place], tasks).values())
        spread = float(np.mean(stds)) if stds else None
        rows.append(
            ProbeRow(
                step=step.step,
                snapshot_id=step.snapshot_id,
                surprisal=float(surprisal_SN[place].mean()),
                spread=spread,
                is_arbitrary=spread is not None and spread < MIN_WITHIN_TASK_STD,
                rho={rule: None if of_rule is None else of_rule[place] for rule, of_rule in by_rule.items()},
            )
        )
    return ProbeTable(
        run=str(run),
        pool=found.pool.run,
        round=found.pool.round,
        samples=found.pool.samples_in_all,
        correct=len(samples),
        tasks=len(set(tasks)),
        rows=tuple(rows),
        agreement=_agreement(found, sums_SN, tokens_N),
        spent=found.spent,
        in_words=_words(rows, len(samples), len(set(tasks))),
        is_null=is_null,
    )


def speedups(samples: Sequence[ProbeSample], rule: str) -> Floats | None:
    """The speedup of each sample: `raw` the point estimate; `verified` the paired ratio where the verdict is faster or
    slower, and 1 where the measurement tells the program from the reference in neither direction, so that its noise
    gives no order. None where there are no verdicts.
    """
    if rule == "raw":
        return np.array([one.raw for one in samples])
    if any(one.verdict is None for one in samples):
        return None
    decided = (Verdict.FASTER, Verdict.SLOWER)
    return np.array([one.ratio if one.verdict in decided else 1.0 for one in samples])


def _rhos(surprisal_SN: Floats, speedup_N: Floats | None, tasks: Sequence[str]) -> list[ProbeRho] | None:
    if speedup_N is None:
        return None
    overall = rho_path(surprisal_SN, speedup_N, tasks, np.random.default_rng(BOOTSTRAP_SEED))
    bottom = rho_path(surprisal_SN, speedup_N, tasks, np.random.default_rng(BOOTSTRAP_SEED), lowest=BOTTOM)
    found = []
    for step, surprisal_N in enumerate(surprisal_SN):
        rows = [[place for place, key in enumerate(tasks) if key == one] for one in dict.fromkeys(tasks)]
        within = [one.rho for of_task in rows if (one := spearman(surprisal_N[of_task], speedup_N[of_task]))]
        mean = float(np.mean(within)) if within else None
        found.append(ProbeRho(overall=overall[step], bottom=bottom[step], within_task=mean, tasks_with_rho=len(within)))
    return found


def _agreement(found: Probe, sums_SN: Floats, tokens_N: Floats) -> float | None:
    stored_N = np.array([one.stored_sum for one in found.pool.samples])
    gaps = [
        float(np.abs((sums_N - stored_N) / tokens_N).max())
        for step, sums_N in zip(found.steps, sums_SN, strict=True)
        if step.snapshot_id == found.pool.snapshot_id
    ]
    return max(gaps, default=None)


def _words(rows: Sequence[ProbeRow], samples: int, tasks: int) -> str:
    first, last = rows[0], rows[-1]
    said = [
        f"One pool of {count(samples, 'correct sample')} of {count(tasks, 'task')} under"
        f" {count(len(rows), 'checkpoint')}."
    ]
    if len(rows) < 2:
        return f"{said[0]} With one step there is no change to speak of."
    for where in ("overall", "bottom"):
        rho = last.rho["verified"] or last.rho["raw"]
        begun = first.rho["verified"] or first.rho["raw"]
        assert rho is not None and begun is not None  # there is always a point estimate
        rule = "verified" if last.rho["verified"] else "raw"
        now, before = (getattr(one, where) for one in (rho, begun))
        said.append(_change(where, rule, before, now, first.step, last.step, tasks))
    if last.is_arbitrary:
        said.append(
            f"At step {last.step} surprisal varies by {last.spread:.3f} nats a token within a task, below"
            f" {MIN_WITHIN_TASK_STD}: selection by it is close to arbitrary there."
        )
    return " ".join(said)


def _change(where: str, rule: str, before: PathRho, now: PathRho, first: int, last: int, tasks: int) -> str:
    place = "over all of them" if where == "overall" else "in the least surprising quartile"
    if before.rho is None or now.rho is None or now.change is None:
        return f"{place[:1].upper()}{place[1:]}, surprisal and {rule} speedup have no correlation to compare."
    said = (
        f"{place[:1].upper()}{place[1:]}, rho of surprisal and {rule} speedup goes from {before.rho:.2f} at step"
        f" {first} to {now.rho:.2f} at step {last}"
    )
    interval = now.change_interval
    if interval is None:
        return (
            f"{said}; too few tasks, or too uniform ones, for an interval of the change, so none is claimed, and there"
            " is no spread to plan by."
        )
    shown = (
        f"{said} (change {now.change:+.2f}, {interval.level:.0%} interval {interval.low:+.2f} to {interval.high:+.2f})"
    )
    needed = tasks_for_interval(now.change, interval.low, interval.high, tasks)
    plan = "" if needed is None else f"; about {needed} tasks like these would show one of that size"
    if interval.high < 0:
        return (
            f"{shown}: the data support that the faster programs have become less surprising beside the others{plan}."
        )
    if interval.low > 0:
        return (
            f"{shown}: the data support that the faster programs have become more surprising beside the others{plan}."
        )
    return f"{shown}: the data do not support a change{plan}."
