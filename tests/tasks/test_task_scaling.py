import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import UsageError
from assay.core.records import Task
from assay.tasks.constants import constants, input_elements, set_constants
from assay.tasks.scaling import check_runs, scale_task, small_source

TEMPLATE = """import torch
import torch.nn as nn

{constants}

class Model(nn.Module):
    def forward(self, *x):
        return {body}

def get_inputs():
    return [{inputs}]

def get_init_inputs():
    return []
"""


def _task(constants: str, inputs: str, body: str = "x[0] * 2") -> Task:
    source = TEMPLATE.format(constants=constants, inputs=inputs, body=body)
    return Task(suite="s", id="t", name="t", source=source)


def _values(source: str) -> dict[str, Any]:
    namespace: dict = {}
    exec("\n".join(ast.unparse(s) for s in ast.parse(source).body if isinstance(s, ast.Assign)), namespace)
    return {name: value for name, value in namespace.items() if name != "__builtins__"}


def test_constants_are_found_in_every_form_they_are_written_in():
    source = "A = 4 * 1024\nB, C = 2, 3\nD = E = 5\nF = (6, 7)\nG: int = 8\nH = [9] * 16\nI = 1.5\nJ = A\nK = True\n"
    found = [(c.name, c.value, c.index) for c in constants(source)]
    assert found == [
        ("A", 4096, None),
        ("B", 2, None),
        ("C", 3, None),
        ("D", 5, None),
        ("F", 6, 0),
        ("F", 7, 1),
        ("G", 8, None),
        ("H", 9, 0),
    ]


def test_setting_constants_keeps_comments_layout_and_unicode():
    source = 's = "é"; N = 4 * 1024  # rows\nM = 2\n'
    assert set_constants(source, {"N": 7}) == 's = "é"; N = 7  # rows\nM = 2\n'


def test_setting_a_constant_that_does_not_exist_is_a_usage_error():
    with pytest.raises(UsageError, match=r"no module-level integer K\. The task has N"):
        set_constants("N = 1\n", {"K": 2})


@pytest.mark.parametrize(
    ("inputs", "elements"),
    [
        ("torch.rand(N, 3)", 12),
        ("torch.rand((N, 3)), torch.randn(N)", 16),
        ("torch.randint(0, 9, (N,))", 4),
        ("torch.rand(*SHAPE)", 6),
        ("torch.rand(N, *SHAPE)", 24),
        ("torch.rand(unknown)", None),
        ("", None),
    ],
)
def test_input_elements_follow_from_the_constants(inputs, elements):
    assert input_elements(_task("N = 2 ** 2\nSHAPE = (2, 3)", inputs).source) == elements


def test_sizes_that_get_inputs_binds_itself_are_followed():
    assert input_elements("N = 4\ndef get_inputs():\n    shape = (N, 3)\n    return [torch.rand(shape)]\n") == 12


def test_default_scale_leaves_the_task_and_an_unknown_one_is_a_usage_error():
    task = _task("N = 1 << 20", "torch.rand(N)")
    assert scale_task(task, "default") is task
    with pytest.raises(UsageError, match="default and small"):
        scale_task(task, "gpu")


def test_a_small_task_fits_its_budget_runs_and_has_another_key():
    task = scale_task(_task("M = 8192 * 4\nN = 65536", "torch.rand(M, N)"), "small")
    assert task.key == "s/t@small"
    assert (input_elements(task.source) or 0) <= 2**21
    assert check_runs(task) > 0


def test_structural_constants_and_small_values_stay():
    task = _task(
        "batch_size = 64\nin_channels = 16\nheight = 512\nkernel_size = 64\nstride = 128\nnum_heads = 64",
        "torch.rand(batch_size, in_channels, height, height)",
        "torch.conv2d(*x)",
    )
    values = _values(small_source(task.source))
    assert (values["kernel_size"], values["stride"], values["num_heads"]) == (64, 128, 64)
    assert values["in_channels"] == 16
    assert values["height"] < 512


def test_equal_sizes_stay_equal_and_a_deliberate_misalignment_survives():
    values = _values(small_source(_task("L = 4096\nM = 4095\nN = 4096", "torch.rand(L, M, N)").source))
    assert values["L"] == values["N"]
    assert values["M"] == values["L"] - 1


def test_members_of_a_group_stay_as_many_as_they_were():
    task = _task("features = 8192\nnum_groups = 512", "torch.rand(128, features)", "torch.nn.Linear(1, 1)")
    values = _values(small_source(task.source))
    assert values["features"] // values["num_groups"] == 16


def test_sizes_inside_a_list_are_scaled_and_its_length_is_not():
    values = _values(small_source(_task("sizes = [8192, 8192]", "torch.rand(8192)", "nn.Linear").source))
    assert values["sizes"] == [1024, 1024]


@given(st.lists(st.integers(1, 2**20), min_size=1, max_size=4))
def test_scaling_never_enlarges_never_reaches_zero_and_is_stable(sizes):
    names = [f"size_{index}" for index in range(len(sizes))]
    text = "\n".join(f"{name} = {size}" for name, size in zip(names, sizes, strict=True))
    source = _task(text, f"torch.rand({', '.join(names)})").source
    scaled = small_source(source)
    values = _values(scaled)
    for name, size in zip(names, sizes, strict=True):
        assert 1 <= values[name] <= size
    assert small_source(source) == scaled


def test_a_scaled_task_that_fails_says_why():
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        check_runs(_task("N = 1", "torch.rand(N)", "1 / 0"))
