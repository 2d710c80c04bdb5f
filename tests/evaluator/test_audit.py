"""When an audit may say that the controls hold."""

import pytest
import torch

from assay.evaluator.audit import AaResult, AuditReport, RedTeamResult, slow_down


def aa(trials: int, faster: int = 0, failed: tuple[str, ...] = ()) -> AaResult:
    return AaResult(
        trials=trials,
        false_faster=faster,
        false_slower=0,
        raw_faster=0,
        faster_interval=None,
        slower_interval=None,
        largest_raw=None,
        failed=failed,
    )


def redteam(*missed: str) -> RedTeamResult:
    return RedTeamResult(caught=1, missed=missed, honest_rejected=(), escapes=())


@pytest.mark.parametrize(
    ("parts", "is_passed"),
    [
        ((None, None), False),
        ((aa(0), None), False),
        ((aa(300), None), True),
        ((aa(300, faster=3), None), True),
        ((aa(300, faster=4), None), False),
        ((aa(40, faster=1), None), True),
        ((aa(299, failed=("a task",)), None), False),
        ((None, redteam()), True),
        ((aa(300), redteam("a cheat")), False),
    ],
)
def test_an_audit_passes_only_if_something_was_shown(parts: tuple, is_passed: bool):
    report = AuditReport(device="cpu", sandbox=(), aa=parts[0], power=(), redteam=parts[1])
    assert report.is_passed is is_passed


@pytest.mark.parametrize("base", ["super()", "super(Model, self)"])
def test_a_slowed_program_computes_the_same_whatever_its_way_of_calling_super(base: str):
    source = f"""
import torch


class Model(torch.nn.Module):
    def __init__(self, scale):
        {base}.__init__()
        self.scale = scale

    def forward(self, x):
        return self.scale * x
"""
    found: dict = {}
    exec(slow_down(source, 0.01, "cpu"), found)
    assert torch.equal(found["Model"](3.0)(torch.ones(2)), torch.full((2,), 3.0))
