"""The sections of the page: sentences and tables in order, and the charts that belong to each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from assay.core.records import Verdict
from assay.report.analysis import Analysis
from assay.report.analysis_words import count, share
from assay.report.charts_base import Chart, shared_prefix
from assay.report.page_model import Report, ReportedRun
from assay.report.refinement import Refined
from assay.report.tables import Measured, TaskLine
from assay.report.words import copies_in_words
from assay.runs.budget import budget_words
from assay.stats.correlation import Correlation


@dataclass(frozen=True)
class Row:
    """One row; link: where its first cell leads."""

    cells: tuple[str, ...]
    link: str | None = None


@dataclass(frozen=True)
class Table:
    """text_columns: how many columns, from the left, hold words; the others are aligned on the right. is_pairs: names
    and values, which may take several lines.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    text_columns: int = 1
    words: str = ""
    is_pairs: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page. folded: tables that are opened on demand."""

    id: str
    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    folded: tuple[Table, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing to show."""
        return not (self.texts or self.tables or self.charts)


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page."""

    value: str
    label: str


def sections(report: Report, charts: dict[str, tuple[Chart, ...]]) -> tuple[Section, ...]:
    """All sections that have something to show, in the order of the page."""
    found = report.analysis
    made: list[Section] = [Section("top", "Summary", texts=("",)), _results(report), _run(report)]
    if found is not None:
        made += [
            Section("funnel", "Funnel", texts=tuple(_statuses(report, run) for run in report.runs)),
            _scaling(found),
            _selectors(found),
            Section("surprisal", "Surprisal and speedup", texts=(found.spread.in_words,), tables=(_lengths(found),)),
            _adaptation(report, found),
            Section("feedback", "Feedback against the prompt alone"),
            Section("regime", "Where a second run pays"),
            Section("sharpening", "Over-sharpening"),
            _ledger(found),
        ]
    made.append(_trust(report))
    whole = [
        Section(one.id, one.title, one.texts, one.tables, charts.get(one.id, ()), one.folded)
        for one in made
    ]  # fmt: skip
    return tuple(one for one in whole if not one.is_empty)


def tiles(report: Report) -> tuple[Tile, ...]:
    """Counts of all runs together."""
    lines = [line for run in report.runs for line in run.tables.tasks]
    controls = [one for line in lines for one in line.controls]
    spent = [run.tables.spent for run in report.runs]
    seconds = sum(one.sampling_s + one.evaluation_s + one.training_s for one in spent)
    tokens = sum(one.prompt_tokens + one.completion_tokens + one.teacher_tokens for one in spent)
    called = sum(one.verdict is Verdict.FASTER for one in controls)
    return (
        Tile(f"{sum(line.is_win for line in lines)} of {len(lines)}", "tasks won, measured afresh"),
        Tile(f"{sum(line.correct for line in lines):,}", f"correct of {sum(line.samples for line in lines):,} samples"),
        Tile(f"{called} of {len(controls)}" if controls else "-", "identical copies called faster"),
        Tile(f"{tokens:,}", "tokens"),
        Tile(f"{seconds / 60:,.1f} min" if seconds >= 60 else f"{seconds:.0f} s", "sampling, judging, learning"),
    )


def notes(report: Report) -> tuple[str, ...]:
    """Warnings that a reader must see before anything else."""
    said = [] if report.analysis is None else list(report.analysis.warnings)
    for run in report.runs:
        said += [f"{run.name}: {note}" for note in (run.tables.warnings if run.view is None else run.view.notes)]
        if not run.tables.is_complete:
            said.append(f"{run.name} is not complete: assay resume {run.directory} goes on.")
    return tuple(dict.fromkeys(said))


# -- sections ---------------------------------------------------------------------------------------------------


def _results(report: Report) -> Section:
    tables = []
    shared = shared_prefix([line.task for run in report.runs for line in run.tables.tasks])
    for number, run in enumerate(report.runs):
        rows = (
            Row(_task_cells(line, shared), f"#/task/{number}/{place}") for place, line in enumerate(run.tables.tasks)
        )  # fmt: skip
        tables.append(
            Table(
                "Tasks" if len(report.runs) == 1 else f"Tasks of {run.name}",
                ("task", "best, measured again", "first look", "identical copy", "faster", "raw > 1", "correct"),
                tuple(rows),
                text_columns=4,
            )
        )
    words = tuple(run.words if len(report.runs) == 1 else f"{run.name}: {run.words}" for run in report.runs)
    return Section("results", "Results by task", words, tuple(tables))


def _task_cells(line: TaskLine, shared: str) -> tuple[str, ...]:
    first = "-" if line.picked is None else _ratio(line.picked.ratio)
    counts = (str(line.fast_verified), str(line.fast_raw), f"{line.correct} of {line.samples}")
    return (line.task.removeprefix(shared), _look(line.again), first, copies_in_words(line.controls), *counts)


def _run(report: Report) -> Section:
    rows = []
    for run in report.runs:
        device = ", ".join(run.facts.devices) or str(run.config.get("device", "-"))
        seed = "-" if run.facts.seed is None else str(run.facts.seed)
        counts = (f"{len(run.tables.tasks):,}", f"{sum(line.samples for line in run.tables.tasks):,}")
        rows.append(Row((run.name, run.tables.model, run.tables.strategy, device, seed, *counts)))
    columns = ("run", "model", "strategy", "judged on", "seed", "tasks", "samples")
    folded = []
    for run in report.runs:
        of_run = "" if len(report.runs) == 1 else f" of {run.name}"
        folded.append(_pairs(f"Configuration{of_run}", run.facts.settings))
        folded += [_pairs(f"Session {n}{of_run}", facts) for n, facts in enumerate(run.facts.sessions, start=1)]
    table = Table("Runs", columns, tuple(rows), text_columns=5)
    texts = tuple(text for run in report.runs for text in _circumstances(report, run))
    return Section("run", "What was run", texts, tables=(table,), folded=tuple(folded))


def _circumstances(report: Report, run: ReportedRun) -> Iterable[str]:
    name, tables = "" if len(report.runs) == 1 else f"{run.name}: ", run.tables
    if tables.start is not None:
        yield f"{name}Begun with the weights of {tables.start}."
    if tables.budget is not None:
        how = f"ended by its {tables.ended_by}" if tables.ended_by else "not used up"
        yield f"{name}Budget: {budget_words(tables.budget)}; {how}."
    if tables.devices is not None:
        yield f"{name}{tables.devices.in_words()}"


def _statuses(report: Report, run: ReportedRun) -> str:
    name = "" if len(report.runs) == 1 else f"{run.name}: "
    said = ", ".join(f"{n:,} {status.replace('_', ' ')}" for status, n in run.facts.statuses)
    waiting = f"; {run.facts.waiting:,} not evaluated" if run.facts.waiting else ""
    return f"{name}{said or 'nothing evaluated'}{waiting}."


def _scaling(found: Analysis) -> Section:
    texts = () if found.scaling is None else (found.scaling.in_words,)
    texts += () if found.others is None else (found.others.in_words,)
    orders = found.evaluated_first.orders
    sizes = [point.k for point in next(iter(orders.values())).verified]
    rows = tuple(
        Row((order, *(share(point.value) for point in curves.verified))) for order, curves in orders.items()
    )  # fmt: skip
    table = Table(
        "Tasks solved, verified, when only the first m samples are evaluated",
        ("order", *(f"m = {k}" for k in sizes)),
        rows,
        words=found.evaluated_first.in_words,
    )
    return Section("scaling", "Scaling", texts, folded=(table,))


def _selectors(found: Analysis) -> Section:
    rows = []
    for row in found.selectors.rows:
        outcome, test = row.outcome, row.against_random
        equivalent = "-" if row.equivalent_k is None else str(row.equivalent_k)
        numbers = (share(outcome.fast_1_verified), share(outcome.fast_1_raw), _ratio(outcome.geomean_speedup))
        p_values = (_small(None if test is None else test.p_value), _small(row.adjusted_p))
        rows.append(Row((row.selector, *numbers, str(outcome.timing_runs), equivalent, *p_values)))
    columns = ("selector", "verified", "raw rule", "speedup", "timed", "equivalent K", "p", "p, Holm")
    table = Table("Selectors, against a random correct sample", columns, tuple(rows))
    return Section("selectors", "Selectors", (found.selectors.in_words, *found.selectors.warnings), folded=(table,))


def _lengths(found: Analysis) -> Table:
    length = found.length
    rows = [
        Row(("surprisal and speedup", *_rho(length.speedup))),
        Row(("surprisal and speedup, given length", *_rho(length.speedup_given_length))),
        Row(("surprisal and length", *_rho(length.length))),
        Row(
            (
                "surprisal and speedup, mean within a task",
                _small(length.within_task),
                _small(length.within_test.p_value),
                str(length.within_test.n),
            )
        ),
    ]
    return Table("Rank correlations over correct samples", ("pair", "rho", "p", "n"), tuple(rows))


def _adaptation(report: Report, found: Analysis) -> Section:
    tables = []
    for table in found.rounds:
        learned = _learned_from(report, table.run)
        rows = [
            Row(
                (
                    str(row.round),
                    learned.get(row.round, "-"),
                    share(row.fast_1_verified),
                    share(row.fast_1_raw),
                    share(row.correct),
                    "-" if row.distinct is None else share(row.distinct),
                    _small(row.mean_surprisal),
                )
            )
            for row in table.rows
        ]
        columns = (
            "round",
            "updated after it",
            "verified",
            "raw rule",
            "correct",
            "distinct programs",
            "mean surprisal",
        )
        tables.append(Table(f"Rounds of {table.run}", columns, tuple(rows), words=table.in_words))
    words = [run.tables.adaptation.in_words for run in report.runs if run.tables.adaptation is not None]
    tables += [_turns(run.name, run.tables.refinement) for run in report.runs if run.tables.refinement is not None]
    return Section("adaptation", "Adaptation", tuple(words), tuple(tables))


def _learned_from(report: Report, name: str) -> dict[int, str]:
    """By round of a run, whether weights were updated after it: a round of equal rewards teaches nothing."""
    notes = [
        note
        for run in report.runs
        if run.name == name and run.tables.adaptation is not None
        for note in run.tables.adaptation.steps
    ]
    updated = {note.round for note in notes if note.is_updated}
    return {note.round: "yes" if note.round in updated else "no" for note in notes}


def _turns(run: str, found: Refined) -> Table:
    rows = [
        Row(
            (
                str(row.turn),
                share(row.solved),
                *(f"{n} of {row.samples}" for n in (row.fast_verified, row.correct, row.repeated)),
                f"{row.fixed} of {row.shown_wrong}",
                f"{row.broken} of {row.shown_correct}",
            )
        )
        for row in found.turns
    ]
    columns = (
        "turn",
        "tasks solved by now",
        "verified",
        "correct",
        "repeated",
        "wrong, fixed",
        "correct, broken",
    )
    return Table(f"Turns of {run}", columns, tuple(rows), words=found.in_words)


def _ledger(found: Analysis) -> Section:
    rows = []
    for cost in found.compute.runs:
        spent = cost.spent
        price = "-" if cost.tokens_a_solved_task is None else f"{cost.tokens_a_solved_task:,.0f}"
        numbers = (spent.rollouts, spent.prompt_tokens, spent.completion_tokens, spent.teacher_tokens)
        more = (spent.evaluations, spent.timing_runs, spent.updates)
        money = "-" if spent.dollars is None else f"${spent.dollars:,.2f}"
        rows.append(Row((cost.run, *(f"{n:,}" for n in (*numbers, *more)), price, money)))
    columns = ("run", "samples", "prompt", "completion", "teacher", "evaluations", "timed calls", "updates")
    table = Table("What was spent", (*columns, "tokens a solved task", "dollars"), tuple(rows))
    return Section("ledger", "Ledger", tables=(table,))


def _trust(report: Report) -> Section:
    tables, folded, texts = [], [], []
    shared = shared_prefix([line.task for run in report.runs for line in run.tables.tasks])
    for run, noise in zip(report.runs, report.noise, strict=True):
        of_run = "" if len(report.runs) == 1 else f" of {run.name}"
        name = "" if len(report.runs) == 1 else f"{run.name}: "
        texts += [f"{name}{_copies(run)}", *([] if noise is None else [noise])]
        facts = run.facts
        rows = [
            Row(
                (
                    line.task.removeprefix(shared),
                    *map(_percent, (line.margin, line.minimal_effect)),
                    *map(str, (line.copies, line.copies_faster, line.copies_raw, line.evaluations)),
                )
            )
            for line in facts.noise
        ]
        columns = ("task", "margin", "smallest gain seen", "copies", "called faster", "raw > 1", "programs timed")
        tables.append(Table(f"Noise by task{of_run}", columns, tuple(rows)))
        flags = tuple(Row((one.flag, str(one.programs), str(one.tasks))) for one in facts.flags)
        if flags:
            tables.append(Table(f"Flags of the judge{of_run}", ("flag", "programs", "tasks"), flags))
        else:
            texts.append(f"{name}The judge flagged no program.")
        tiers = tuple(Row((tier, f"{n:,}")) for tier, n in facts.sandbox)
        folded.append(Table(f"Sandbox tiers{of_run}", ("tier", "evaluations"), tiers))
    return Section("trust", "Trust", tuple(texts), tuple(tables), folded=tuple(folded))


def _copies(run: ReportedRun) -> str:
    controls = [one for line in run.tables.tasks for one in line.controls]
    if not controls:
        return "No identical copy was measured, so this run shows nothing of its machine's noise."
    called = sum(one.verdict is Verdict.FASTER for one in controls)
    raw = sum(one.is_fast_raw for one in controls)
    return (
        f"{count(len(controls), 'identical copy', 'identical copies')} measured on this machine beside the samples:"
        f" {called} called faster by the verdict, {raw} by the raw rule."
    )


# -- cells ------------------------------------------------------------------------------------------------------


def _pairs(title: str, pairs: Iterable[tuple[str, str]]) -> Table:
    return Table(title, ("setting", "value"), tuple(Row(pair) for pair in pairs), text_columns=2, is_pairs=True)


def _look(one: Measured | None) -> str:
    if one is None:
        return "-"
    if one.ratio is None or one.low is None or one.high is None:
        return str(one.status).replace("_", " ")
    return f"{one.verdict or 'no verdict'} {one.ratio:.2f}x [{one.low:.2f}, {one.high:.2f}]"


def _or_dash(shown: Callable[[float], str]) -> Callable[[float | None], str]:
    return lambda value: "-" if value is None else shown(value)


_ratio = _or_dash(lambda value: f"{value:.2f}x")
_small = _or_dash(lambda value: f"{value:.3g}")
_percent = _or_dash(lambda value: f"{value:.1%}")


def _rho(found: Correlation | None) -> Sequence[str]:
    return ("-", "-", "-") if found is None else (f"{found.rho:.2f}", _small(found.p_value), str(found.n))
