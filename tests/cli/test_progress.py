import io

import pytest
from fakes import judge
from rich.console import Console

from assay.cli import progress
from assay.cli.pace import Pace, duration, pace_words
from assay.cli.page import dollars
from assay.cli.progress import Narrator
from assay.core.ledger import Spend
from assay.core.records import Candidate, Task
from assay.runs.events import (
    Evaluated,
    EvaluationStarted,
    RemeasuringStarted,
    RoundFinished,
    RoundStarted,
    SamplesDrawn,
)
from assay.runs.schema import Purpose

TASK = Task(suite="s", id="t", name="t", source="class Model: pass")


def looked(ratio, purpose=Purpose.SEARCH):
    return Evaluated(judge(TASK, Candidate(source=f"class ModelNew(Model): pass  # ratio={ratio}"), 1.0), purpose)


@pytest.fixture
def told(monkeypatch):
    """A narrator's lines, of a terminal or of a pipe."""

    def tell(events, *, is_terminal=False, faster=0):
        out = io.StringIO()
        console = Console(file=out, force_terminal=is_terminal, width=150, color_system=None)
        monkeypatch.setattr(progress, "notes", lambda: console)
        with Narrator(faster) as narrator:
            live = []
            for event in events:
                narrator.observe(event)
                live.append("" if narrator._live is None else str(narrator._live.status))
        return out.getvalue(), live

    return tell


ROUND = (
    RoundStarted(0, 1, 4, 0),
    SamplesDrawn(0, "s/t", 2, 2, 2, 4, 2.0),
    SamplesDrawn(0, "s/t", 2, 1, 4, 4, 1.0),
    EvaluationStarted(0, "s/t", 3),
    looked(1.5),
    looked(1.0),
    looked(1.0, Purpose.CONTROL),
    RoundFinished(0, Spend()),
    RemeasuringStarted(1),
    looked(1.5, Purpose.SELECTED),
)


def test_a_pipe_gets_lines_and_nothing_that_moves(told):
    text, _ = told(ROUND)
    assert "\r" not in text and "\x1b" not in text
    lines = text.splitlines()
    assert lines[0] == "round 0: 1 task, 4 samples" and lines[1] == "  s/t: 4 samples, 3 programs, 3.0 s"
    assert lines[2].startswith("    2 distinct programs evaluated: 2 correct, 1 faster")


def test_a_terminal_sees_rates_how_far_the_round_is_and_verified_wins(told):
    _, live = told(ROUND, is_terminal=True)
    assert live[1].startswith("s/t: 2 of 4 samples, 1.0 a second; round 0: 25%")
    assert "; faster so far: 1" in live[4] and "round 0: 67%" in live[4]
    assert live[6].startswith("all judged; round 0: 100%")
    assert live[9].endswith("; faster again: 1")


def test_after_a_resume_the_line_counts_what_is_new_and_says_what_was_there(told):
    events = [RoundStarted(0, 1, 6, 4), SamplesDrawn(0, "s/t", 2, 1, 6, 6, 1.0)]
    text, live = told(events, is_terminal=False)
    assert "  s/t: 2 more samples after 4, 1 programs, 1.0 s" in text
    _, live = told([*events, EvaluationStarted(0, "s/t", 2), looked(1.5)], is_terminal=True, faster=2)
    assert "faster so far: 3" in live[-1]


def test_tasks_that_are_sampled_at_once_are_counted_apart(told):
    events = [RoundStarted(0, 2, 8, 0)]
    events += [
        SamplesDrawn(0, key, 2, parsed, drawn, 4, 1.0) for drawn in (2, 4) for key, parsed in (("a", 2), ("b", 0))
    ]
    text, _ = told(events)
    assert "  a: 4 samples, 4 programs, 2.0 s" in text and "  b: 4 samples, 0 programs, 2.0 s" in text


def test_pace_is_silent_until_it_knows_something_and_then_reaches_the_end():
    pace = Pace(0, 40, 0, began=100.0)
    assert pace_words(pace, 100.0) == "" and pace.seconds_left(100.0) is None
    pace.sampled("a", 20)
    assert pace.share == 0.25 and pace.seconds_left(110.0) == pytest.approx(30.0)
    pace.judging("a", 0, 110.0)
    assert pace.share == 0.5
    pace.sampled("b", 20)
    pace.judging("b", 5, 120.0)
    pace.judged("b", 5, 5)
    assert pace.share == 1.0 and pace.left == 0 and pace.seconds_left(200.0) == 0


def test_a_round_of_which_everything_is_drawn_already_has_no_pace():
    pace = Pace(0, 4, 4, began=0.0)
    pace.judging("a", 3, 1.0)
    assert pace.share == 0 and pace_words(pace, 2.0) == ""


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (200, "3 min"), (7500, "2 h 5 min")])
def test_durations_are_rough(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(("amount", "words"), [(0.0, "$0.00"), (0.00123, "$0.0012"), (12.346, "$12.35")])
def test_money_has_the_digits_that_it_needs(amount, words):
    assert dollars(amount) == words
