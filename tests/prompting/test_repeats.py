"""Programs that are their reference again, and programs that are not."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.records import Task
from assay.prompting.reference import read_reference
from assay.prompting.repeats import ReferenceCode
from assay.tasks.starter_suite import solutions, starter_suite

HEAD = "import torch\nimport torch.nn as nn\n\nROWS = 8\nSCALE = 2.0\n\n"
SOURCE = f'''{HEAD}
def scaled(x: torch.Tensor) -> torch.Tensor:
    return x * SCALE


class Model(nn.Module):
    """Scales."""

    def __init__(self, size: int):
        super(Model, self).__init__()
        self.linear = nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One step."""
        return scaled(self.linear(x))  # the whole task


def get_inputs():
    return [torch.randn(ROWS, 4)]


def get_init_inputs():
    return [4]
'''
REPEATED = f"""{HEAD}
def scaled(x):
    return x * SCALE

class ModelNew(nn.Module):
    def __init__(self, size):
        super(ModelNew, self).__init__()
        self.linear = nn.Linear(
            size, size)
    def forward(self, x):
        return scaled(self.linear(x))
"""
REFERENCE = ReferenceCode(SOURCE)


def test_the_same_code_under_another_name_is_a_repetition_whatever_its_comments_and_annotations():
    assert REFERENCE.is_repeated_by(REPEATED)
    assert REFERENCE.is_repeated_by(SOURCE.replace("Model", "ModelNew"))


def test_the_own_body_put_back_into_the_program_is_a_repetition():
    """As candidates of the format `body` are made: `super(Model, self)` is `super()` in them."""
    for source in (SOURCE, *(task.source for task in starter_suite("default").tasks)):
        reference = read_reference(Task(suite="tests", id="own", name="own", source=source))
        body = "\n".join(ast.unparse(statement) for statement in reference.forward.body)
        repeated = reference.with_body(body)
        assert "super(Model" not in repeated
        assert ReferenceCode(source).is_repeated_by(repeated)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("super(ModelNew, self)", "super(nn.Module, self)"),
        ("return scaled(self.linear(x))", "return scaled(self.linear(x)) + 0"),
        ("return x * SCALE", "return SCALE * x"),
        ("SCALE = 2.0", "SCALE = 2"),
        ("import torch.nn as nn", "from torch import nn as nn"),
        ("class ModelNew", "class Modern"),
        ("def forward", "def forward("),
    ],
)
def test_other_code_is_none(old: str, new: str):
    assert REPEATED.count(old)
    assert not REFERENCE.is_repeated_by(REPEATED.replace(old, new))


def test_what_a_reference_does_not_use_may_differ():
    assert REFERENCE.is_repeated_by(REPEATED.replace("ROWS = 8", "ROWS = 9") + "\n\ndef unused():\n    pass\n")


@pytest.mark.parametrize("task", starter_suite("default").tasks, ids=lambda task: task.id)
def test_identical_copies_repeat_their_task_and_known_solutions_do_not(task):
    reference = ReferenceCode(task.source)
    assert reference.is_repeated_by(task.source.replace("class Model(", "class ModelNew("))
    known = solutions(task.id)
    for source in filter(None, (known.fast, *known.fast_on_gpu.values(), *known.wrong)):
        assert not reference.is_repeated_by(source)


@pytest.mark.parametrize("depth", [100, 400, 900, 100_000])
def test_nesting_beyond_all_limits_is_answered(depth: int):
    deep = REPEATED.replace("x * SCALE", f"{'-' * depth}x * SCALE")
    assert not REFERENCE.is_repeated_by(deep)
    found = ReferenceCode(SOURCE.replace("x * SCALE", f"{'-' * depth}x * SCALE")).is_repeated_by(deep)
    assert found or depth > 100


@given(st.text())
def test_any_text_is_answered(text: str):
    assert not REFERENCE.is_repeated_by(text)
    assert not REFERENCE.is_repeated_by(text + REPEATED.replace("x * SCALE", "x"))
