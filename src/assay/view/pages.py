"""The pages: what is stored, as HTML. Every value is escaped by the templates; nothing that a run holds is markup."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from assay.core.errors import UsageError
from assay.core.records import Attempt, Candidate, Evaluation
from assay.report.compare import Comparison, compare
from assay.report.compare_cut import parse_budget
from assay.report.compare_runs import read_compared
from assay.report.compare_tables import TextTable, comparison_tables
from assay.report.tables import Measured, RunTables, run_tables
from assay.report.words import in_words
from assay.runs.schema import Purpose
from assay.view.folder import NotServedError, OpenRun, RunFolder
from assay.view.listing import Listing

SAMPLES_A_PAGE = 20
SHOWN_CHARACTERS = 20_000
MOST_COMPARED = 12
HAS_REPORT = find_spec("vl_convert") is not None


class Query(NamedTuple):
    """What a request asks for; every value as it came, several of one name in their order."""

    values: Mapping[str, Sequence[str]]

    def one(self, name: str, default: str = "") -> str:
        """The value of `name`."""
        return next(iter(self.values.get(name, ())), default)

    def number(self, name: str) -> int:
        """A whole number from 0; 0 where there is none. UsageError for what is none."""
        text = self.one(name, "0")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise UsageError(f"{name} is not a number")
        return int(text)


class ShownSample(NamedTuple):
    """A sample as text. Long texts are cut, and `is_cut` says so."""

    attempt: Attempt
    again: Evaluation | None
    text: str
    is_cut: bool


class Pages:
    """Renders the pages of one folder."""

    def __init__(self, folder: RunFolder, listing: Listing) -> None:
        self._folder, self._listing = folder, listing
        self._templates = Environment(
            loader=PackageLoader("assay.view"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters |= {"measured": _measured, "plain": _plain}

    def runs(self, query: Query) -> str:
        """The list."""
        return self._render("list.html", title="Runs", folder=self._folder.root, runs=self._listing.runs())

    def run(self, query: Query) -> str:
        """One run: progress, tables, words, and the way to its samples."""
        name = query.one("run")
        with self._folder.open(name) as run:
            tables = run_tables(run.store)
            rounds = run.store.finished_rounds()
            drawn = sorted(set(run.store.pool_columns().round))
        return self._render(
            "run.html",
            title=name,
            listed=self._listing.run(name),
            run=name,
            tables=tables,
            by_task=_by_task(tables),
            by_selector=_by_selector(tables),
            words=in_words(tables),
            rounds=rounds,
            drawn=drawn,
            has_report=HAS_REPORT,
        )

    def report(self, query: Query) -> bytes:
        """The full report of one run. UsageError where it cannot be made."""
        if not HAS_REPORT:
            raise UsageError("the report needs vl-convert-python: pip install 'assay-lab[report]'")
        from assay.report.page import write_page  # needs what only the extra [report] brings
        from assay.report.page_model import read_report

        with self._folder.open(query.one("run")) as run, TemporaryDirectory() as scratch:
            target = Path(scratch) / "report.html"
            write_page(read_report([run.store.directory]), target)
            return target.read_bytes()

    def samples(self, query: Query) -> str:
        """Samples of a task and round, as text."""
        name, task, round, page = query.one("run"), query.one("task"), query.number("round"), query.number("page")
        with self._folder.open(name) as run:
            if task not in {known.key for known in run.store.tasks()}:
                raise NotServedError("this run has no such task")
            attempts = run.store.attempts(task, round, leave_out_unevaluated=True)
            waiting = len(run.store.indices(round, task)) - len(attempts)
            shown = attempts[page * SAMPLES_A_PAGE : (page + 1) * SAMPLES_A_PAGE]
            samples = _shown(run, task, shown)
        return self._render(
            "samples.html",
            title=f"{task}, round {round}",
            run=name,
            task=task,
            round=round,
            page=page,
            pages=max(1, -(-len(attempts) // SAMPLES_A_PAGE)),
            count=len(attempts),
            waiting=waiting,
            samples=samples,
        )

    def candidate(self, query: Query) -> str:
        """One program, as text."""
        name, program = query.one("run"), query.one("hash")
        source = self.source(query)
        with self._folder.open(name) as run:
            found = [
                (purpose, one)
                for purpose in Purpose
                for one in run.store.evaluations(purpose)
                if one.candidate_hash == program
            ]
        return self._render(
            "candidate.html",
            title=f"Program {program}",
            run=name,
            hash=program,
            source=source[:SHOWN_CHARACTERS],
            is_cut=len(source) > SHOWN_CHARACTERS,
            evaluations=found,
        )

    def source(self, query: Query) -> str:
        """The text of a program. NotServedError if the run has none of this hash."""
        with self._folder.open(query.one("run")) as run:
            try:
                return run.store.candidate(query.one("hash")).source
            except KeyError:
                raise NotServedError("this run has no such program") from None

    def comparison(self, query: Query) -> str:
        """The ticked runs, the first of them against all others; or why they are not compared, with the way on."""
        names = list(query.values.get("run", ()))
        options = {
            "at": query.one("at"),
            "group": query.one("group") == "1",
            "anyway": query.one("anyway") == "1",
        }
        found, refusal = None, ""
        try:
            found = self._compared(names, **options)
        except NotServedError:
            raise
        except UsageError as error:
            refusal = self.plain(str(error))
        return self._render(
            "compare.html",
            title="Comparison",
            names=names,
            options=options,
            found=found,
            tables=comparison_tables(found) if found else [],
            notes=[self.plain(note) for note in found.warnings] if found else [],
            refusal=refusal,
        )

    def error(self, title: str, message: str) -> str:
        """What went wrong."""
        return self._render("error.html", title=title, message=self.plain(message))

    def plain(self, message: str) -> str:
        """A message with paths as they are named in the list."""
        return message.replace(f"{self._folder.root}/", "")

    def _compared(self, names: Sequence[str], *, at: str, group: bool, anyway: bool) -> Comparison:
        if len(set(names)) < len(names) or not 2 <= len(names) <= MOST_COMPARED:
            raise UsageError(f"tick 2 to {MOST_COMPARED} runs to compare, each once")
        with ExitStack() as stack:
            runs = read_compared([stack.enter_context(self._folder.open(name)).store for name in names])
        return compare(runs, is_grouped=group, at=parse_budget(at) if at else None, is_anyway=anyway)

    def _render(self, template: str, **values: Any) -> str:
        return self._templates.get_template(template).render(**values)


def _shown(run: OpenRun, task: str, attempts: Sequence[Attempt]) -> list[ShownSample]:
    again = {one.candidate_hash: one for one in run.store.evaluations(Purpose.SELECTED, task)}
    shown = []
    for attempt in attempts:
        text = attempt.sample.completion.text
        program = attempt.candidate.hash if isinstance(attempt.candidate, Candidate) else None
        cut = text[:SHOWN_CHARACTERS]
        shown.append(ShownSample(attempt, again.get(program), cut, len(text) > SHOWN_CHARACTERS))
    return shown


def _by_task(tables: RunTables) -> TextTable:
    rows = [
        (
            line.task,
            f"{line.correct}/{line.samples}",
            str(line.fast_raw),
            str(line.fast_verified),
            _measured(line.picked),
            _measured(line.again),
            _measured(line.control),
        )
        for line in tables.tasks
    ]
    counts = ("correct", "raw > 1", "faster")
    return TextTable("By task", ("task", *counts, "first look", "measured again", "identical copy"), rows, counts)


def _by_selector(tables: RunTables) -> TextTable:
    rows = [
        (
            line.selector,
            _share(line.fast_1_raw),
            _share(line.fast_1_verified),
            "-" if line.speedup is None else f"{line.speedup:.2f}x",
            str(line.timing_runs),
            f"{line.confirmed} of {line.measured_again}" if line.measured_again else "-",
        )
        for line in tables.selectors
    ]
    numbers = ("fast_1 raw", "fast_1 verified", "speedup", "timing runs", "held up")
    return TextTable("By selector (at first look)", ("selector", *numbers), rows, numbers)


def _measured(one: Measured | Evaluation | None) -> str:
    """A measurement in a few words."""
    if one is None:
        return "-"
    if isinstance(one, Evaluation):
        found = one.speedup
        ends = None if found is None else (found.ratio, found.low, found.high)
    else:
        ends = None if one.ratio is None or one.low is None or one.high is None else (one.ratio, one.low, one.high)
    if ends is None:
        return str(one.status).replace("_", " ")
    return f"{one.verdict or 'no verdict'} {ends[0]:.2f}x [{ends[1]:.2f}, {ends[2]:.2f}]"


def _plain(text: object) -> str:
    """Text without characters that reorder or hide other text: these are shown as their numbers."""
    return "".join(one if one.isprintable() or one in "\n\t" else f"\\u{ord(one):04x}" for one in str(text))


def _share(value: float) -> str:
    return f"{value:.0%}"
