"""An analysis on the screen: each table, and under it what its numbers support."""

from collections.abc import Iterable, Sequence

from assay.cli.console import print_table, print_text
from assay.cli.probe_page import show_probe
from assay.cli.transfer_page import show_transfer
from assay.report.against_published import PublishedTable
from assay.report.analysis import Analysis
from assay.report.analysis_curves import CurvePoint, EvaluatedFirst, Scaling
from assay.report.analysis_null import NoiseTable
from assay.report.analysis_others import OtherRuns
from assay.report.analysis_regime import RegimeTable
from assay.report.analysis_rounds import RoundsTable
from assay.report.analysis_runs import ComputeTable, RunHead
from assay.report.analysis_selectors import SelectorTable
from assay.report.analysis_surprisal import LengthControl, QuartileTable, SpreadTable
from assay.stats.best_of_k import EquivalentK
from assay.stats.correlation import Correlation
from assay.stats.intervals import Interval


def show_analysis(found: Analysis) -> None:
    """All tables of an analysis that exist."""
    _heads(found.runs, found.is_null)
    for warning in found.warnings:
        print_text(f"Note: {warning}")
    for noise in found.noise:
        _noise(noise)
    if found.scaling is not None:
        _scaling(found.scaling)
    _first(found.evaluated_first)
    if found.others is not None:
        _others(found.others)
    _selectors(found.selectors)
    _length(found.length)
    _quartiles(found.quartiles)
    _spread(found.spread)
    for rounds in found.rounds:
        show_rounds(rounds)
    for regime in found.regime:
        _regime(regime)
    for transfer in found.transfer:
        show_transfer(transfer)
    for probe in found.probes:
        show_probe(probe)
    _compute(found.compute)
    if found.published is not None:
        _published(found.published, found.is_null)


def _heads(runs: Sequence[RunHead], is_null: bool) -> None:
    title = "A/A pools: correct programs replaced by the reference" if is_null else "Runs"
    columns = ("run", "model", "strategy", "device", "tasks", "samples", "rounds")
    rows = [
        (r.run, r.model, r.strategy, r.device, f"{r.tasks} of {r.tasks_in_all}", str(r.samples), str(len(r.rounds)))
        for r in runs
    ]
    _table(title, columns, rows, "", left=4)
    for run in runs:
        for note in run.notes:
            print_text(f"Note: {run.run}: {note}")


def _noise(table: NoiseTable) -> None:
    rows = [
        (
            row.metric,
            row.rule,
            _share(row.run),
            _share(row.noise),
            f"{_share(row.low)} to {_share(row.high)}",
            _p(row.p_value),
        )
        for row in table.rows
    ]
    columns = ("figure", "rule", "the run", "noise", "95% of redraws", "p, one-sided")
    _table(f"What noise alone would have scored ({table.run})", columns, rows, "", left=2)
    pairs = zip(table.copies["raw"], table.copies["verified"], strict=True)
    rows = [
        (str(raw.k), _share(raw.unbiased), _share(raw.plug_in), _share(faster.unbiased), _share(faster.plug_in))
        for raw, faster in pairs
    ]
    columns = ("K copies", "raw, unbiased", "raw, redrawn", "verified, unbiased", "verified, redrawn")
    _table("Tasks on which one of K identical copies looks fast", columns, rows, table.in_words, left=0)


def _scaling(table: Scaling) -> None:
    fast, speed = table.fast_1, table.speedup
    rows = [
        (str(raw.k), _shown(raw), _shown(verified), _ratio(raw_speed), _ratio(verified_speed))
        for raw, verified, raw_speed, verified_speed in zip(
            fast.raw, fast.verified, speed.raw, speed.verified, strict=True
        )
    ]
    columns = ("K", "fast_1 raw", "fast_1 verified", "max@K raw", "max@K verified")
    _table(f"Best of K ({table.tasks} tasks, with 95% intervals over tasks)", columns, rows, table.in_words, left=0)
    sizes = [point.k for point in fast.raw]
    rows = [
        (name, rule, *map(_shown, points))
        for name, curves in table.selectors.items()
        for rule, points in (("verified", curves.verified), ("raw", curves.raw))
    ]
    columns = ("selector", "rule", *(f"K={k}" for k in sizes))
    _table("selected@K", columns, rows, table.selectors_in_words, left=2)


def _first(table: EvaluatedFirst) -> None:
    sizes = [point.k for point in next(iter(table.orders.values())).verified]
    rows = [
        (order, rule, *map(_shown, points))
        for order, curves in table.orders.items()
        for rule, points in (("verified", curves.verified), ("raw", curves.raw))
    ]
    columns = ("order", "rule", *(f"m={k}" for k in sizes))
    _table("Tasks solved when only the first m samples are evaluated", columns, rows, table.in_words, left=2)


def _others(table: OtherRuns) -> None:
    rows = [
        (
            *(row.run, row.metric, row.rule, _with(row.figure, row.interval), str(row.samples), _k(row.equivalent_k)),
            "-" if row.low is None or row.high is None else f"{row.low} to {row.high}",
        )
        for row in table.rows
    ]
    columns = ("run", "figure", "rule", "value", "of samples", "equivalent K", "its interval")
    _table("Other runs on the first run's curve", columns, rows, table.in_words, left=3)


def _selectors(table: SelectorTable) -> None:
    rows = []
    for row in table.rows:
        outcome = row.outcome
        p_value = row.against_random and row.against_random.p_value
        numbers = (_share(outcome.fast_1_raw), _with(outcome.fast_1_verified, outcome.interval))
        speed = "-" if outcome.geomean_speedup is None else f"{outcome.geomean_speedup:.2f}x"
        tests = (_signed(row.cohens_h), _p(p_value), _p(row.adjusted_p), _count(row.tasks_needed))
        rows.append((row.selector, *numbers, speed, str(outcome.timing_runs), _k(row.equivalent_k), *tests))
    columns = ("selector", "raw", "verified", "speedup", "timed", "equivalent K", "h", "p", "Holm", "tasks needed")
    _table("Selectors, against a random correct sample", columns, rows, "")
    rows = []
    for pair in table.pairs:
        success, speed = pair.success, pair.speed
        ratio = "-" if pair.speed_ratio is None else f"{pair.speed_ratio:.2f}x"
        tests = (_signed(pair.cohens_h), _p(success.p_value), _p(pair.success_adjusted_p))
        speeds = (ratio, str(pair.speed_tasks), _p(speed.p_value), _p(pair.speed_adjusted_p))
        rows.append((pair.b, f"{success.wins}-{success.losses}-{success.ties}", *tests, *speeds))
    columns = ("surprisal against", "won-lost-tied", "h", "p", "Holm", "speed", "tasks", "p speed", "Holm speed")
    _table("Surprisal against other selectors, by task", columns, rows, table.in_words)
    for warning in table.warnings:
        print_text(f"Note: {warning}")


def _length(table: LengthControl) -> None:
    rows = [
        ("surprisal and speedup", *_correlation(table.speedup)),
        ("surprisal and speedup, given length", *_correlation(table.speedup_given_length)),
        ("surprisal and length", *_correlation(table.length)),
        ("surprisal and speedup, mean within a task", _signed(table.within_task), _p(table.within_test.p_value)),
    ]
    _table(f"Length control ({table.n} correct samples)", ("rank correlation", "rho", "p"), rows, table.in_words)


def _quartiles(table: QuartileTable) -> None:
    rows = [
        (
            *(str(row.quartile), f"{row.low:.3g} to {row.high:.3g}", str(row.n), str(row.tasks)),
            *(_share(row.fast_1_raw), _share(row.fast_1_verified)),
            "-" if row.geomean_speedup is None else f"{row.geomean_speedup:.2f}x",
            *_correlation(row.correlation),
        )
        for row in table.rows
    ]
    columns = ("quartile", "surprisal", "samples", "tasks", "raw", "verified", "speedup", "rho", "p")
    _table("Correct samples by quartile of surprisal (1 = least)", columns, rows, table.in_words, left=0)


def _spread(table: SpreadTable) -> None:
    rows = [
        (
            row.task,
            str(row.correct),
            "-" if row.std is None else f"{row.std:.3f}",
            "arbitrary" if row.is_arbitrary else "",
        )
        for row in table.rows
    ]
    columns = ("task", "correct", "std of mean log-prob", "selection")
    _table("Spread within tasks", columns, rows, table.in_words)


def show_rounds(table: RoundsTable) -> None:
    """A run over its rounds, and which of them each rule keeps."""
    rows = [
        (
            *(str(row.round), _share(row.correct), _share(row.fast_1_raw), _share(row.fast_1_verified)),
            *(_share(row.solved_verified), _share(row.distinct), _number(row.mean_surprisal), _number(row.spread)),
            *(_correlation(row.rho)[0], _correlation(row.rho_bottom)[0]),
        )
        for row in table.rows
    ]
    columns = (
        "round",
        "correct",
        "raw",
        "verified",
        "tasks solved",
        "distinct",
        "surprisal",
        "spread",
        "rho",
        "bottom",
    )
    _table(f"Rounds of {table.run}", columns, rows, "", left=0)
    rows = [
        (
            choice.rule,
            rule,
            "-" if choice.step is None else str(choice.step),
            _share(choice.in_batch),
            _share(choice.split),
        )
        for rule, choices in table.choices.items()
        for choice in choices
    ]
    columns = ("rule", "success", "round", "on these samples", "on the other half")
    _table("Which round to keep", columns, rows, table.in_words, left=2)


def _regime(table: RegimeTable) -> None:
    rows = [
        (row.band, str(row.tasks), _share(row.base), _share(row.second), _points(row.benefit, row.interval))
        for row in table.rows
    ]
    columns = (f"{table.rule} coverage", "tasks", "first run", "second run", "benefit in points")
    title = f"Where {table.second} pays over {table.first}, by the {table.rule} rule"
    _table(title, columns, rows, table.in_words)


def _compute(table: ComputeTable) -> None:
    rows = []
    for run in table.runs:
        spent, price = run.spent, run.tokens_a_solved_task
        tokens = (f"{run.tokens:,}", _share(run.teacher_share), "-" if price is None else f"{price:,.0f}")
        seconds = (f"{spent.sampling_s:.0f}", f"{spent.evaluation_s:.0f}", f"{spent.training_s:.0f}")
        work = (str(spent.rollouts), str(spent.evaluations), str(spent.timing_runs), str(spent.updates))
        rows.append((run.run, *work, *tokens, *seconds))
    work = ("samples", "evaluations", "timed calls", "updates")
    columns = ("run", *work, "tokens", "teacher", "a solved task", "s sampling", "s evaluating", "s training")
    _table("Compute", columns, rows, table.in_words)


def _published(table: PublishedTable, is_null: bool) -> None:
    formats = {"share": _share, "ratio": lambda x: "-" if x is None else f"{x:.1f}x", "tokens": _count}
    rows = []
    for row in table.rows:
        shown = formats.get(row.unit, _signed)
        rows.append((row.figure, shown(row.published), shown(row.ours_raw), shown(row.ours_verified)))
    columns = ("figure", "published", "ours, raw", "ours, verified")
    title = (
        "What noise alone would have scored, beside the published figures"
        if is_null
        else "Beside the published figures"
    )
    _table(title, columns, rows, f"{table.caveat}\n{table.in_words}")
    print_text("Sources: " + "; ".join(dict.fromkeys(row.source for row in table.rows)) + ".")


# -- cells ------------------------------------------------------------------------------------------------------


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], words: str, left: int = 1) -> None:
    """A table whose first `left` columns are texts, and its sentence."""
    print_table(f"\n{title}", columns, list(rows), right=columns[left:])
    if words:
        print_text(words)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _with(value: float, interval: Interval | None) -> str:
    return (
        _share(value) if interval is None else f"{_share(value)} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"
    )


def _shown(point: CurvePoint) -> str:
    return _with(point.value, point.interval)


def _ratio(point: CurvePoint) -> str:
    ends = "" if point.interval is None else f" [{point.interval.low:.2f}, {point.interval.high:.2f}]"
    return f"{point.value:.2f}x{ends}"


def _points(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "-"
    ends = "" if interval is None else f" [{100 * interval.low:+.0f}, {100 * interval.high:+.0f}]"
    return f"{100 * value:+.1f}{ends}"


def _k(found: EquivalentK | None) -> str:
    return "-" if found is None else str(found)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _correlation(found: Correlation | None) -> tuple[str, str]:
    return ("-", "-") if found is None else (_signed(found.rho), _p(found.p_value))
