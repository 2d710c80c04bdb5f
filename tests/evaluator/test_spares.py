"""Runners started ahead: never while the device is timed, and an error reaches whoever takes it."""

import threading
import time
from typing import Any

import pytest

from assay.core.errors import EvaluatorError
from assay.evaluator.spares import Spares


def test_without_spares_a_runner_is_started_when_taken():
    started: list[int] = []
    spares: Any = Spares(lambda: started.append(1) or len(started), 0)  # type: ignore[arg-type, return-value]
    assert (spares.take(), spares.take()) == (1, 2)
    spares.close()


def test_spares_are_replaced_and_nothing_starts_in_a_quiet_block():
    started: list[float] = []
    spares: Any = Spares(lambda: started.append(time.monotonic()) or object(), 2)  # type: ignore[arg-type, return-value]
    with spares.quiet():
        begun = time.monotonic()
        spares.take()
        time.sleep(0.05)
        ended = time.monotonic()
        assert not any(begun < moment < ended for moment in started)
    for _ in range(4):
        spares.take()
    spares.close()


def test_more_may_be_taken_in_a_quiet_block_than_are_ready():
    spares: Any = Spares(object, 2)  # type: ignore[arg-type]
    taken: list[object] = []
    with spares.quiet():
        taker = threading.Thread(target=lambda: taken.extend(spares.take() for _ in range(5)), daemon=True)
        taker.start()
        taker.join(10)
    assert len(taken) == 5
    spares.close()


def test_quiet_waits_for_a_start_under_way():
    may_end, is_begun = threading.Event(), threading.Event()

    def slow() -> object:
        is_begun.set()
        may_end.wait(5)
        return object()

    spares: Any = Spares(slow, 1)  # type: ignore[arg-type]
    is_begun.wait(5)
    threading.Timer(0.05, may_end.set).start()
    with spares.quiet():
        assert may_end.is_set()
    spares.close()


def test_a_start_that_fails_is_told_to_whoever_takes_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("assay.evaluator.spares._PATIENCE_S", 0.0)

    def broken() -> Any:
        raise EvaluatorError("no device")

    spares = Spares(broken, 1)
    with pytest.raises(EvaluatorError, match="no device"):
        spares.take()
    spares.close()


def test_any_other_failure_of_a_start_is_told_too():
    def broken() -> Any:
        raise OSError("no space left")

    spares = Spares(broken, 1)
    with pytest.raises(EvaluatorError, match="no space left"):
        spares.take()
    spares.close()
