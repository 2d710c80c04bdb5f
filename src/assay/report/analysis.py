"""The analysis of one run, or of several: every table as a pure function of what is stored.

`Analysis` is the document of `assay analyze --json`. Each table has a sentence that says what its numbers support.
"""

from collections.abc import Sequence

import numpy as np

from assay.core.errors import UsageError
from assay.core.records import Record
from assay.report.against_published import Ours, PublishedTable, against_published
from assay.report.analysis_curves import EvaluatedFirst, Scaling, evaluated_first, scaling
from assay.report.analysis_null import NoiseTable, noise_table, null_view
from assay.report.analysis_others import OtherRuns, other_runs
from assay.report.analysis_regime import RegimeTable, regime_table
from assay.report.analysis_rounds import RoundsTable, rounds_table
from assay.report.analysis_runs import ComputeTable, RunHead, RunView, check_comparable, compute_table, run_head
from assay.report.analysis_selectors import SelectorTable, selector_table
from assay.report.analysis_surprisal import (
    LengthControl,
    QuartileTable,
    SpreadTable,
    length_control,
    quartile_table,
    spread_table,
)
from assay.report.analysis_transfer import transfer_tables
from assay.report.probe import ProbeTable
from assay.report.transfer import TransferTable
from assay.selection.adaptation import complete_rounds
from assay.selection.diagnostics import surprisal_diagnostics
from assay.selection.selectors import Selector, available

RULES = ("verified", "raw")


class Analysis(Record):
    """All tables. is_null: the pools are A/A pools, see `noise`.

    scaling, evaluated_first, selectors, length, quartiles and spread are of the first round of the first run; scaling
    is None, and so is others, where that run evaluated a shortlist by rank: such samples are no random ones. regime:
    for each further run, by the verified and by the raw rule. rounds: of each run with several complete rounds.
    transfer: of each run with another's weights that stands beside one without. probes: as they are given.
    """

    runs: tuple[RunHead, ...]
    is_null: bool
    noise: tuple[NoiseTable, ...]
    scaling: Scaling | None
    evaluated_first: EvaluatedFirst
    others: OtherRuns | None
    selectors: SelectorTable
    length: LengthControl
    quartiles: QuartileTable
    spread: SpreadTable
    rounds: tuple[RoundsTable, ...]
    regime: tuple[RegimeTable, ...]
    transfer: tuple[TransferTable, ...]
    probes: tuple[ProbeTable, ...]
    compute: ComputeTable
    published: PublishedTable | None
    warnings: tuple[str, ...]


def analyse(
    views: Sequence[RunView],
    *,
    null: bool = False,
    published: bool = False,
    selectors: Sequence[Selector] | None = None,
    probes: Sequence[ProbeTable] = (),
    transfers: Sequence[tuple[RunView, RunView]] = (),
    seed: int = 0,
) -> Analysis:
    """Every table of the runs; the same runs and seed give the same tables.

    null: of A/A pools. published: our figures beside the published ones. selectors: default, all built-in ones that the
    first run has the columns for. probes: of these runs; with `null`, their nulls. transfers: pairs of runs, unadapted
    and adapted, that stand in the transfer table alone; with `null`, those that have copies on both sides.

    UsageError for no run, runs that do not belong together, and a null without controls.
    """
    if not views:
        raise UsageError("Name at least one run directory to analyse.")
    warnings = list(check_comparable(views))
    noise: tuple[NoiseTable, ...] = ()
    if null:
        noise = tuple(noise_table(view, _rng(seed, 0, n)) for n, view in enumerate(views))
        views = [null_view(view, _rng(seed, 1, n)) for n, view in enumerate(views)]
        transfers = [
            (null_view(base, _rng(seed, 8, n)), null_view(adapted, _rng(seed, 9, n)))
            for n, (base, adapted) in enumerate(transfers)
            if base.controls and adapted.controls
        ]
    first, others = views[0], views[1:]
    pool = first.first_round
    chosen = available(pool.samples) if selectors is None else tuple(selectors)
    is_random = first.shortlist is None or first.shortlist.rank == "random"
    if first.shortlist is not None and not is_random:
        warnings.append(
            f"{first.name} evaluated a shortlist by {first.shortlist.rank}: its samples are no random ones, so there is"
            " no curve over K, and correlations and selectors are of the shortlist alone."
        )
    found = surprisal_diagnostics(pool)
    curves = scaling(pool, chosen, _rng(seed, 2)) if is_random else None
    table = selector_table(pool, chosen, _rng(seed, 3), is_random)
    length, compute = length_control(pool, found), compute_table(views)
    warnings += [
        f"{view.name} has no two rounds with samples of every task, so there is no trajectory to choose a round from."
        for view in views
        if len(view.rounds) > 1 and len(complete_rounds(view.pool)) < 2
    ]
    rounds = {
        view.name: rounds_table(view.name, view.pool, _rng(seed, 4), learns=view.strategy != "refine")
        for view in views
        if len(view.rounds) > 1
    }
    moved = [transfer_tables(group) for group in (views, *transfers)]
    warnings += [warning for _, of_group in moved for warning in of_group]
    transfer = tuple(one for tables, _ in moved for one in tables)
    ours = None
    if published:
        found_so_far = Ours(curves, table, length, rounds.get(first.name), compute, transfer, tuple(probes))
        ours = against_published(first, found_so_far)
    return Analysis(
        runs=tuple(map(run_head, views)),
        is_null=null,
        noise=noise,
        scaling=curves,
        evaluated_first=evaluated_first(pool, first.shortlist, _rng(seed, 5)),
        others=other_runs(first, others, _rng(seed, 6)) if others and is_random else None,
        selectors=table,
        length=length,
        quartiles=quartile_table(pool, found),
        spread=spread_table(pool, found),
        rounds=tuple(one for one in rounds.values() if one is not None),
        regime=tuple(regime_table(first, other, rule, _rng(seed, 7)) for other in others for rule in RULES),
        transfer=transfer,
        probes=tuple(probes),
        compute=compute,
        published=ours,
        warnings=tuple(warnings),
    )


def _rng(*parts: int) -> np.random.Generator:
    """A generator for each table, so that no table depends on which others are made."""
    return np.random.default_rng(parts)
