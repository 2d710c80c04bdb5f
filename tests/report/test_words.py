"""The sentence under a run's tables, by its own rule and by the published one."""

import pytest

from assay.core.records import Status, Verdict
from assay.report.tables import Measured, RunTables, TaskLine
from assay.report.words import has_verdicts, in_words


def measured(raw: float, verdict: Verdict | None) -> Measured:
    return Measured(candidate_hash="h", status=Status.CORRECT, verdict=verdict, ratio=raw, low=raw, high=raw, raw=raw)


def line(task: str, raw: float, verdict: Verdict | None, copies: tuple[float, ...]) -> TaskLine:
    controls = tuple(measured(one, verdict and Verdict.SAME) for one in copies)
    fields = {"task": task, "samples": 4, "programs": 4, "distinct": 4, "correct": 2, "fast_raw": int(raw > 1)}
    looks = {"picked": measured(raw, verdict), "again": None, "control": controls[0], "controls": controls}
    return TaskLine.model_validate({**fields, "fast_verified": int(verdict is Verdict.FASTER), **looks})


def tables(*lines: TaskLine) -> RunTables:
    from assay.core.ledger import Spend

    heads = {"directory": "r", "model": "m", "strategy": "best-of-n", "is_complete": True}
    return RunTables.model_validate({**heads, "tasks": lines, "selectors": (), "warnings": (), "spent": Spend()})


def test_a_rule_without_verdicts_is_not_said_to_have_given_none():
    text = in_words(tables(line("a", 1.4, None, (1.1, 0.9)), line("b", 0.8, None, (1.0,))))
    assert "Judged by KernelBench's rule" in text and "it calls 1 of 4 correct samples fast" in text
    assert "1 of 2 tasks (50%" in text and "1 of 3 copies" in text
    assert "have the verdict" not in text and "called faster" not in text


def test_a_run_with_verdicts_keeps_both_rules_apart():
    text = in_words(tables(line("a", 1.4, Verdict.FASTER, (1.1,)), line("b", 1.2, Verdict.SAME, (1.0,))))
    assert "1 has the verdict" in text and "KernelBench" not in text


@pytest.mark.parametrize(("verdict", "expected"), [(None, False), (Verdict.SAME, True)])
def test_verdicts_are_known_from_what_was_timed(verdict, expected):
    assert has_verdicts([line("a", 1.4, verdict, (1.0,))]) is expected
    assert has_verdicts([]) is True
