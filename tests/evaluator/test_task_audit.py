"""What the audit finds in tasks that cannot tell a program from nothing, and in honest ones."""

import pytest

from assay.core.records import Task
from assay.evaluator.task_audit import TaskAudit, audit_task


def _task(body: str, inputs: str = "[torch.randn(64, 32)]", arguments: str = "x") -> Task:
    source = (
        "import torch\nimport torch.nn as nn\n\nN = 64\n\n\nclass Model(nn.Module):\n"
        f"    def forward(self, {arguments}):\n        {body}\n\n\n"
        f"def get_inputs():\n    return {inputs}\n\n\ndef get_init_inputs():\n    return []\n"
    )
    return Task(suite="tests", id="t", name="t", source=source)


def _audit(*arguments: str) -> TaskAudit:
    return audit_task(_task(*arguments), "cpu")


def _warnings(found: TaskAudit) -> tuple[str, ...]:
    """Without the one that depends on this machine's speed."""
    return tuple(text for text in found.warnings if "noise floor" not in text)


def test_an_honest_task_is_fit_and_has_no_finding():
    found = _audit("return torch.tanh(x) @ y", "[torch.randn(64, 32), torch.randn(32, 64)]", "x, y")
    assert found.is_fit and _warnings(found) == () and found.published_warnings == ()
    assert found.accepted_on_own == () and found.unused_inputs == ()
    assert found.has_other_distribution and found.call_us is not None and found.call_us > 0


def test_an_output_that_never_changes_is_constant_and_unfit():
    found = _audit("return (x * 0).sum(dim=1)")
    assert found.is_constant and not found.is_fit
    assert {"zeros", "a constant", "the previous output"} <= set(found.accepted)
    assert found.unused_inputs == (0,)
    assert "all inputs give the same output" in found.warnings[0]


def test_an_input_without_effect_is_named_and_the_task_stays_fit():
    found = _audit("return x.exp() + 0 * y", "[torch.randn(64, 32), torch.randn(64, 32)]", "x, y")
    assert found.unused_inputs == (1,) and found.is_fit
    assert _warnings(found) == ("no output depends on input 1",)


def test_a_copy_that_only_the_own_distribution_accepts_is_a_finding_of_the_published_rule():
    found = _audit("return torch.relu(x)", "[torch.rand(64, 32)]")
    assert found.accepted_on_own == found.accepted_published == ("a copy of input 0",)
    assert found.accepted == () and found.is_fit and _warnings(found) == ()
    assert "a copy of input 0" in found.published_warnings[0]


def test_a_copy_that_both_distributions_accept_makes_a_task_unfit():
    found = _audit("return x.clamp(-1000, 1000)")
    assert found.accepted == ("a copy of input 0",) and not found.is_fit
    assert _warnings(found) == ("unfit: a copy of input 0 would be judged correct",)


def test_outputs_below_an_absolute_tolerance_pass_as_zeros_by_the_published_rule_only():
    found = _audit("return 1e-6 * torch.tanh(x) @ x.T")
    assert "zeros" in found.accepted_published and "zeros" not in found.accepted_on_own
    assert found.is_fit


def test_a_reference_that_draws_random_numbers_is_nondeterministic():
    found = _audit("return x + torch.rand_like(x)")
    assert found.is_nondeterministic and not found.is_fit


def test_integer_outputs_are_audited_exactly():
    found = _audit("return x.argmax(dim=1)")
    assert found.is_fit and found.accepted_on_own == ()


def test_a_reference_that_raises_is_a_finding_and_not_an_exception():
    found = _audit("raise ValueError('no')")
    assert found.problem == "does_not_run" and not found.is_fit
    assert "no" in found.warnings[0]


@pytest.mark.parametrize("inputs", ["[torch.rand(1099511627776)]", "[torch.rand(N * 10**9, N)]"])
def test_sizes_beyond_the_memory_are_found_without_trying(inputs):
    found = _audit("return x", inputs)
    assert found.problem == "out_of_memory" and "does not fit" in found.warnings[0]


def test_memory_that_the_reference_asks_for_itself_is_found_by_trying():
    found = _audit("return x.expand(2**40, 64, 32).contiguous()")
    assert found.problem == "out_of_memory"


def test_a_reference_faster_than_the_clocks_agree_is_below_the_noise_floor():
    found = TaskAudit(task_key="tests/t", task_hash="0", device="cpu", call_us=3.0)
    assert found.is_below_noise_floor and "below the noise floor" in found.warnings[0]
    assert not TaskAudit(task_key="tests/t", task_hash="0", device="cpu", call_us=300.0).warnings
