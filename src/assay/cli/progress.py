"""A run's events as lines for a person: one line a task, and on a terminal a live line of what goes on."""

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.status import Status as LiveStatus
from rich.text import Text

from assay.cli.console import notes
from assay.cli.pace import Pace, pace_words
from assay.core.records import Evaluation
from assay.runs.events import (
    Evaluated,
    EvaluationStarted,
    Event,
    RemeasuringStarted,
    RoundFinished,
    RoundStarted,
    SamplesDrawn,
)
from assay.runs.schema import Purpose

LOADING_EVERY_S = 2.0


class Narrator:
    """Observes a run and says what is done; everything goes to stderr. Use it as a context manager.

    faster: programs that had the verdict `faster` before, of a run that goes on.
    """

    def __init__(self, faster: int = 0) -> None:
        self._console = notes()
        self._live: LiveStatus | None = None
        if self._console.is_terminal:
            self._live = LiveStatus("getting ready", console=self._console)
        self._faster, self._held = faster, 0
        self._looks: list[Evaluated] = []
        self._expected = 0
        self._new: Counter[str] = Counter()
        self._parsed: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._pace = Pace(0, 0, 0, time.monotonic())
        self._loading = ("", 0.0)

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def loading(self, what: str, done: int, total: int) -> None:
        """Progress of getting a model."""
        share = f" {done / total:.0%} of {total / 1e6:.0f} MB" if total else ""
        self._now(f"{what}{share}")
        last, at = self._loading
        if self._live is None and (what != last or time.monotonic() - at > LOADING_EVERY_S):
            self._line(f"  {what}{share}")
            self._loading = (what, time.monotonic())

    def observe(self, event: Event) -> None:
        """One event."""
        match event:
            case RoundStarted():
                self._pace = Pace(event.round, event.samples, event.stored, time.monotonic())
                there = f", {event.stored} of them are there already" if event.stored else ""
                tasks = "1 task" if event.tasks == 1 else f"{event.tasks} tasks"
                self._line(f"round {event.round}: {tasks}, {event.samples} samples{there}")
                self._now(f"round {event.round}: sampling")
            case SamplesDrawn():
                self._sampled(event)
            case EvaluationStarted():
                self._looks, self._expected = [], event.candidates
                self._pace.judging(event.task_key, event.candidates, time.monotonic())
                if event.candidates:
                    self._paced(f"{event.task_key}: evaluating {event.candidates} programs")
            case Evaluated():
                self._evaluated(event)
            case RemeasuringStarted():
                self._looks, self._expected = [], event.candidates
                if event.candidates:
                    which = "fastest" if event.candidates == 1 else f"{event.candidates} fastest"
                    self._line(f"measuring the {which} again, in fresh processes on fresh inputs")
                    self._now(f"measuring again 0 of {event.candidates} programs")
            case RoundFinished():
                self._line(f"round {event.round}: done")
            case _:
                pass

    def _sampled(self, event: SamplesDrawn) -> None:
        key = event.task_key
        self._new[key] += event.new
        self._parsed[key] += event.parsed
        self._seconds[key] = self._seconds.get(key, 0.0) + event.seconds
        self._pace.sampled(key, event.new)
        rate = f", {self._new[key] / self._seconds[key]:.1f} a second" if self._seconds[key] > 0 else ""
        self._paced(f"{key}: {event.drawn} of {event.samples} samples{rate}")
        if event.drawn == event.samples:
            new, parsed, seconds = self._new.pop(key), self._parsed.pop(key), self._seconds.pop(key)
            before = f" more samples after {event.drawn - new}" if event.drawn > new else " samples"
            self._line(f"  {key}: {new}{before}, {parsed} programs, {seconds:.1f} s")

    def _evaluated(self, event: Evaluated) -> None:
        found = event.evaluation
        self._looks.append(event)
        if event.purpose is Purpose.SELECTED:
            self._held += found.is_verified_faster
            held = f"; faster again: {self._held}" if self._held else ""
            self._now(f"measuring again {len(self._looks)} of {self._expected} programs{held}")
            self._line(f"  {found.task_key}: {speedup_words(found)}")
            return
        self._faster += event.purpose is Purpose.SEARCH and found.is_verified_faster
        self._pace.judged(found.task_key, len(self._looks), self._expected)
        if len(self._looks) == self._expected:
            self._line(f"    {_summary(self._looks)}")
            self._paced("sampling" if self._pace.left else "all judged")
        else:
            rate = self._pace.evaluations_a_second(len(self._looks), time.monotonic())
            shown = "" if rate is None else f", {rate:.1f} a second"
            self._paced(f"{found.task_key}: evaluated {len(self._looks)} of {self._expected} programs{shown}")

    def _paced(self, text: str) -> None:
        """The live line with how far the round is, and how many programs have the verdict."""
        faster = f"; faster so far: {self._faster}" if self._faster else ""
        self._now(f"{text}{pace_words(self._pace, time.monotonic())}{faster}")

    def _now(self, text: str) -> None:
        if self._live:
            self._live.update(Text(text, overflow="ellipsis", no_wrap=True))

    def _line(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=not self._console.is_terminal)


def speedup_words(found: Evaluation) -> str:
    """An evaluation in a few words."""
    if found.speedup is None:
        flags = f" ({', '.join(found.flags)})" if found.flags else ""
        return f"{str(found.status).replace('_', ' ')}{flags}"
    one = found.speedup
    if found.verdict is None:
        return f"no verdict, {one.ratio:.3f}x"
    flags = f" ({', '.join(found.flags)})" if found.flags else ""
    return f"{found.verdict}, {one.ratio:.3f}x [{one.low:.3f}, {one.high:.3f}]{flags}"


def _summary(looks: list[Evaluated]) -> str:
    found = [look.evaluation for look in looks if look.purpose is Purpose.SEARCH]
    correct = [one for one in found if one.speedup is not None]
    faster = sum(one.is_verified_faster for one in found)
    best = max((one.speedup.ratio for one in correct if one.speedup), default=None)
    words = f"{len(found)} distinct programs evaluated: {len(correct)} correct, {faster} faster"
    words += "" if best is None else f"; highest ratio {best:.2f}x"
    controls = [look.evaluation for look in looks if look.purpose is Purpose.CONTROL]
    return words + _copies(controls)


def _copies(controls: list[Evaluation]) -> str:
    if len(controls) < 2:
        return "".join(f"; identical copy: {speedup_words(one)}" for one in controls)
    ratios = [one.speedup.ratio for one in controls if one.speedup is not None]
    called = Counter(str(one.verdict or one.status) for one in controls)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in called.most_common())
    shown = f", {min(ratios):.3f}x to {max(ratios):.3f}x" if ratios else ""
    return f"; {len(controls)} identical copies: {counts}{shown}"
