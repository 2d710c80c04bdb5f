"""A run's events as lines for a person: one line a task, and on a terminal a live line of what goes on."""

import time
from types import TracebackType
from typing import Self

from rich.status import Status as LiveStatus
from rich.text import Text

from assay.cli.console import notes
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
    """Observes a run and says what is done; everything goes to stderr. Use it as a context manager."""

    def __init__(self) -> None:
        self._console = notes()
        self._live: LiveStatus | None = LiveStatus("", console=self._console) if self._console.is_terminal else None
        self._looks: list[Evaluated] = []
        self._expected = 0
        self._parsed = 0
        self._seconds = 0.0
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
                there = f", {event.stored} of them are there already" if event.stored else ""
                self._line(f"round {event.round}: {event.tasks} tasks, {event.samples} samples{there}")
            case SamplesDrawn():
                self._sampled(event)
            case EvaluationStarted():
                self._looks, self._expected = [], event.candidates
                if event.candidates:
                    self._now(f"{event.task_key}: evaluating 0 of {event.candidates} programs")
            case Evaluated():
                self._evaluated(event)
            case RemeasuringStarted():
                self._looks, self._expected = [], event.candidates
                if event.candidates:
                    self._now(f"measuring again 0 of {event.candidates} programs")
                    self._line(f"measuring the {event.candidates} fastest again, in fresh processes on fresh inputs")
            case RoundFinished():
                self._line(f"round {event.round}: done")
            case _:
                pass

    def _sampled(self, event: SamplesDrawn) -> None:
        self._parsed += event.parsed
        self._seconds += event.seconds
        self._now(f"{event.task_key}: {event.drawn} of {event.samples} samples")
        if event.drawn == event.samples:
            self._line(f"  {event.task_key}: {event.drawn} samples, {self._parsed} programs, {self._seconds:.1f} s")
            self._parsed, self._seconds = 0, 0.0

    def _evaluated(self, event: Evaluated) -> None:
        found = event.evaluation
        self._looks.append(event)
        if event.purpose is Purpose.SELECTED:
            self._now(f"measuring again {len(self._looks)} of {self._expected} programs")
            self._line(f"  {found.task_key}: {speedup_words(found)}")
            return
        self._now(f"{found.task_key}: evaluating {len(self._looks)} of {self._expected} programs")
        if len(self._looks) == self._expected:
            self._line(f"    {_summary(self._looks)}")

    def _now(self, text: str) -> None:
        if self._live:
            self._live.update(text)

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
    return words + "".join(f"; identical copy: {speedup_words(one)}" for one in controls)
