"""What noise alone would have scored: a run's pool with its correct programs replaced by the reference.

The run has measured identical copies of each reference, every copy by itself, in the way it measured candidates. In
the A/A pool each correct program is given one of its task's copy measurements, drawn with replacement; samples that
gave the same program share the draw, as they share an evaluation in the run. So the pool has as many chances to be
lucky as the run had, and no real speedup. Samples that failed stay failed: replaced, they would be chances that the run
never had. Log-probabilities and lengths stay, so that selectors run on it as they are.

With n copies, of which c look fast, a draw with replacement looks fast at the rate c/n. The chance that at least one of
k does is concave in that rate, so by Jensen's inequality its estimate 1 - (1 - c/n)^k is too low on average: few copies
make noise look smaller than it is. Up to k = n the estimator without replacement (pass@k) is unbiased, and is given
beside it.

For p-values the rate c/n will not do either: no success in n copies is no proof of a rate of 0. Were a program no
better than a copy, it would be one more of n + 1 exchangeable measurements, so its chance is taken as (c + 1)/(n + 1).
For the raw rule c and n are those of the task, since noise differs between tasks; for the verdict, which is held to one
error rate on every task, they are those of all tasks together.

Axis suffixes: P tasks, N samples, G distinct correct programs, M measurements of copies, R redraws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Evaluation, Record
from assay.report.analysis_curves import RULES
from assay.report.analysis_runs import RunView
from assay.report.analysis_words import count, p_words, share
from assay.selection.curves import Success, is_success
from assay.selection.pool import NO_VERDICT, VERDICTS, Bools, Floats, Ints, Pool
from assay.stats.best_of_k import default_ks, pass_at_k
from assay.stats.power import rate_in_words
from assay.stats.random_pick import tasks_for_random_pick

REDRAWS = 1000
ALPHA = 0.05
# Programs times redraws at once: bounds the memory of the redraws.
_CHUNK_DRAWS = 1_000_000


class NoiseRow(Record):
    """One figure of the run beside that of its A/A pool: `tasks solved` (any sample) or `samples` (mean over tasks).

    noise: mean over redraws; low, high: the middle 95% of them. p_value: one-sided; share of redraws at the rate
    (c + 1)/(n + 1) that score at least what the run did, (1 + count) / (1 + redraws).
    """

    metric: str
    rule: Success
    run: float
    noise: float
    low: float
    high: float
    p_value: float


class CopiesPoint(Record):
    """Share of tasks on which at least one of k identical copies is a success.

    unbiased: without replacement, None where a task has fewer than k measurements. plug_in: with replacement; too low
    on average.
    """

    k: int
    unbiased: float | None
    plug_in: float


class NoiseTable(Record):
    """The null of a run. measurements: of identical copies, `fewest` to `most` a task; fast_raw and faster: how many of
    them the raw rule and the verdict call fast. left_out: tasks without any. programs: distinct correct programs that
    were replaced. tasks_needed: to show a surplus of the observed size in tasks solved by the raw rule.
    """

    run: str
    tasks: int
    left_out: int
    measurements: int
    fewest: int
    most: int
    fast_raw: int
    faster: int
    programs: int
    redraws: int
    rows: tuple[NoiseRow, ...]
    copies: dict[str, tuple[CopiesPoint, ...]]
    tasks_needed: int | None
    in_words: str


@dataclass(frozen=True)
class _Replacement:
    """pool: of the tasks with copies. group_N: the number of a sample's program, -1 unless correct; task_G, samples_G:
    its task, and how many samples gave it. start_P, copies_P: where a task's measurements stand among the M.
    """

    pool: Pool
    group_N: Ints
    task_G: Ints
    samples_G: Ints
    start_P: Ints
    copies_P: Ints
    evaluations: tuple[Evaluation, ...]

    def draw(self, rng: np.random.Generator) -> Ints:
        """A measurement for each program, shape (G,)."""
        place = rng.random(len(self.task_G)) * self.copies_P[self.task_G]
        return self.start_P[self.task_G] + place.astype(np.int64)

    def successes(self) -> dict[Success, Bools]:
        """Which of the M measurements are successes."""
        raw = [e.speedup is not None and e.speedup.raw > 1.0 for e in self.evaluations]
        return {"raw": np.array(raw), "verified": np.array([e.is_verified_faster for e in self.evaluations])}


def null_view(view: RunView, rng: np.random.Generator) -> RunView:
    """The run with its A/A pool in place of its own. UsageError where no identical copy was measured."""
    found = _replacement(view.pool, view.controls, view.name)
    return replace(view, pool=_replaced(found, found.draw(rng)))


def noise_table(view: RunView, rng: np.random.Generator, redraws: int = REDRAWS) -> NoiseTable:
    """The run's own scores beside those of many A/A pools. UsageError where no identical copy was measured."""
    found = _replacement(view.pool, view.controls, view.name)
    success = found.successes()
    u_seed = int(rng.integers(2**32))
    rows, needed = [], None
    for rule in RULES:
        solved_P, rate_P = _scores(found, is_success(found.pool.samples, rule))
        drawn_P, raised_P = _rates(found, success[rule], rule)
        # The same luck at both rates and under both rules, so that they differ by nothing else.
        noise = _noise_scores(found, drawn_P, np.random.default_rng(u_seed), redraws)
        raised = _noise_scores(found, raised_P, np.random.default_rng(u_seed), redraws)
        rows.append(_row("tasks solved", rule, solved_P, noise[0], raised[0]))
        rows.append(_row("samples", rule, rate_P, noise[1], raised[1]))
        if rule == "raw":
            needed = tasks_for_random_pick(solved_P, noise[0].mean(axis=0))
    most = int(np.diff(found.pool.offsets).max())
    table = NoiseTable(
        run=view.name,
        tasks=len(found.pool.task_keys),
        left_out=len(view.pool.task_keys) - len(found.pool.task_keys),
        measurements=len(found.evaluations),
        fewest=int(found.copies_P.min()),
        most=int(found.copies_P.max()),
        fast_raw=int(success["raw"].sum()),
        faster=int(success["verified"].sum()),
        programs=len(found.task_G),
        redraws=redraws,
        rows=tuple(rows),
        copies={str(rule): _copies(found, success[rule], default_ks(most)) for rule in RULES},
        tasks_needed=needed,
        in_words="",
    )
    return table.model_copy(update={"in_words": _words(table)})


def _replacement(pool: Pool, controls: Mapping[str, Sequence[Evaluation]], run: str) -> _Replacement:
    kept = pool.of_tasks(controls)
    if len(kept) == 0:
        raise UsageError(
            f"{run} has no measurement of an identical copy, so nothing can be said of noise: run it with controls ="
            " true and, say, --null-evaluations 8."
        )
    evaluations = [controls[key] for key in kept.task_keys]
    copies = np.array([len(several) for several in evaluations])
    correct = np.flatnonzero(kept.samples.is_correct)
    pairs = np.stack([kept.task[correct], kept.samples.candidate[correct]], axis=1)
    distinct, group, sizes = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    group_N = np.full(len(kept), -1, np.int64)
    group_N[correct] = group.ravel()
    return _Replacement(
        pool=kept,
        group_N=group_N,
        task_G=distinct[:, 0].astype(np.int64),
        samples_G=sizes,
        start_P=np.append(0, np.cumsum(copies)[:-1]).astype(np.int64),
        copies_P=copies,
        evaluations=tuple(evaluation for several in evaluations for evaluation in several),
    )


def _replaced(found: _Replacement, drawn_G: Ints) -> Pool:
    speedups = [evaluation.speedup for evaluation in found.evaluations]
    codes = [NO_VERDICT if e.verdict is None else VERDICTS.index(e.verdict) for e in found.evaluations]
    is_program = found.group_N >= 0
    measured_N = drawn_G[found.group_N[is_program]]

    def column(values_M: Sequence[float]) -> Floats:
        column_N = np.full(len(found.group_N), np.nan)
        column_N[is_program] = np.array(values_M, float)[measured_N]
        return column_N

    is_correct, verdict = np.zeros(len(is_program), bool), np.full(len(is_program), NO_VERDICT, np.int64)
    is_correct[is_program] = np.array([e.is_correct for e in found.evaluations])[measured_N]
    verdict[is_program] = np.array(codes, np.int64)[measured_N]
    samples = replace(
        found.pool.samples,
        is_correct=is_correct,
        verdict=verdict,
        speedup=column([np.nan if s is None else s.ratio for s in speedups]),
        low=column([np.nan if s is None else s.low for s in speedups]),
        high=column([np.nan if s is None else s.high for s in speedups]),
        raw=column([np.nan if s is None else s.raw for s in speedups]),
        reward=np.full(len(is_program), np.nan),
    )
    return replace(found.pool, samples=samples)


def _scores(found: _Replacement, success_N: Bools) -> tuple[Floats, Floats]:
    """By task: whether any sample is a success, and the share of samples that are."""
    won_P = np.bincount(found.pool.task[success_N], minlength=len(found.copies_P))
    return (won_P > 0).astype(float), won_P / np.diff(found.pool.offsets)


def _rates(found: _Replacement, success_M: Bools, rule: Success) -> tuple[Floats, Floats]:
    """By task: the rate of success of a draw, and the one that p-values take (see the module's text)."""
    won_P, copies_P = np.add.reduceat(success_M, found.start_P, dtype=np.int64), found.copies_P
    if rule == "raw":
        return won_P / copies_P, (won_P + 1) / (copies_P + 1)
    return won_P / copies_P, np.full(len(copies_P), (won_P.sum() + 1) / (copies_P.sum() + 1))


def _noise_scores(found: _Replacement, rate_P: Floats, rng: np.random.Generator, redraws: int) -> tuple[Floats, Floats]:
    """`_scores` of every redraw, each of shape (R, P): every program of a task succeeds at the task's rate."""
    tasks_with_programs, first_G = np.unique(found.task_G, return_index=True)  # programs stand task by task
    step = max(1, _CHUNK_DRAWS // max(1, len(found.task_G)))
    won_RP = np.zeros((redraws, len(found.copies_P)))
    for low in range(0, redraws if len(first_G) else 0, step):
        u_RG = rng.random((min(step, redraws - low), len(found.task_G)))
        weighted_RG = (u_RG < rate_P[found.task_G]) * found.samples_G
        won_RP[low : low + step, tasks_with_programs] = np.add.reduceat(weighted_RG, first_G, axis=1)
    return (won_RP > 0).astype(float), won_RP / np.diff(found.pool.offsets)


def _row(metric: str, rule: Success, run_P: Floats, noise_RP: Floats, raised_RP: Floats) -> NoiseRow:
    noise_R, run = noise_RP.mean(axis=1), float(run_P.mean())
    low, high = np.quantile(noise_R, [0.025, 0.975])
    at_least = int((raised_RP.mean(axis=1) >= run - 1e-9).sum())
    return NoiseRow(
        metric=metric,
        rule=rule,
        run=run,
        noise=float(noise_R.mean()),
        low=float(low),
        high=float(high),
        p_value=(1 + at_least) / (1 + len(raised_RP)),
    )


def _copies(found: _Replacement, success_M: Bools, ks: Ints) -> tuple[CopiesPoint, ...]:
    won_P = [int(success_M[a : a + n].sum()) for a, n in zip(found.start_P, found.copies_P, strict=True)]
    counts = list(zip(won_P, found.copies_P.tolist(), strict=True))
    return tuple(
        CopiesPoint(
            k=k,
            unbiased=float(np.mean([pass_at_k(n, c, [k])[0] for c, n in counts])) if k <= min(found.copies_P) else None,
            plug_in=float(np.mean([1 - (1 - c / n) ** k for c, n in counts])),
        )
        for k in ks.tolist()
    )


def _words(table: NoiseTable) -> str:
    solved = {row.rule: row for row in table.rows if row.metric == "tasks solved"}
    raw, verified = solved["raw"], solved["verified"]
    each = str(table.fewest) if table.fewest == table.most else f"{table.fewest} to {table.most}"
    called = f"Of {count(table.measurements, 'measurement')} of identical copies ({each} a task) the raw rule calls"
    called += f" {table.fast_raw} fast; the verdict `faster` was given to "
    called += rate_in_words(table.faster, table.measurements, "measurements")
    said = (
        f"{called} Were every correct program of this run the reference itself, the raw rule would say that"
        f" {share(raw.noise)} of tasks are solved ({share(raw.low)} to {share(raw.high)}) and the verified rule"
        f" {share(verified.noise)}; the run has {share(raw.run)} and {share(verified.run)}. Judged by these copies"
        f" alone, by the raw rule {_beats_noise(raw.p_value)}, by the verdict {_beats_noise(verified.p_value)}"
    )
    if raw.p_value > ALPHA and table.tasks_needed is not None:
        said += f"; about {table.tasks_needed} tasks like these would show a difference of the observed size by the"
        said += " raw rule"
    said += (
        f". {count(table.fewest, 'copy', 'copies')} a task cannot show a chance below 1 in {table.fewest + 1} by the"
    )
    said += f" raw rule, nor {table.measurements} in all one below 1 in {table.measurements + 1} by the verdict (each"
    said += " `faster` also stands on its own interval)"
    if table.most == 1:
        return f"{said}, and with one measurement a task every redraw is the same."
    if table.measurements < table.programs:
        return f"{said}, and with fewer measurements than programs the figures of noise are understated."
    return f"{said}."


def _beats_noise(p_value: float) -> str:
    return (
        f"that is {'more' if p_value <= ALPHA else 'not shown to be more'} than noise ({p_words(p_value)}, one-sided)"
    )
