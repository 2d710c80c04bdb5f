import pytest
import torch

from assay.core.errors import UsageError
from assay.tasks.contract import check_contract
from assay.tasks.files import load_file, load_folder, task_from_module
from assay.tasks.suites import load_suite

TASK = """import torch.nn as nn
import torch
N = 4096
class Model(nn.Module):
    def forward(self, x):
        return x * 2
def get_inputs():
    return [torch.randn(N)]
def get_init_inputs():
    return []
"""
MODULE = """import torch
from torch import nn

class Block(nn.Module):  # Block is shown here
    def __init__(self):
        super(Block, self).__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x):
        return torch.relu(self.layer(x))
"""


def _write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def _run(task):
    namespace = {}
    exec(task.source, namespace)
    torch.manual_seed(0)
    return namespace["Model"](*namespace["get_init_inputs"]())(*namespace["get_inputs"]())


def test_a_folder_is_a_suite_of_its_task_files_by_name(tmp_path):
    _write(tmp_path, "b.py", TASK)
    _write(tmp_path, "a.py", TASK)
    _write(tmp_path, "_helper.py", "nonsense(")
    suite = load_suite(str(tmp_path))
    assert [task.id for task in suite.tasks] == ["a", "b"]
    assert suite.name == f"files/{tmp_path.name}"


def test_a_task_has_one_key_as_a_file_and_in_its_folder(tmp_path):
    path = _write(tmp_path, "a.py", TASK)
    assert load_suite(str(path)).tasks[0].key == load_folder(tmp_path).tasks[0].key


def test_a_file_at_small_scale_has_smaller_sizes_and_another_key(tmp_path):
    path = _write(tmp_path, "a.py", TASK.replace("N = 4096", "N = 2 ** 30"))
    task = load_suite(str(path), "small").tasks[0]
    assert task.key.endswith("a@small")
    assert task.source != load_file(path).source


def test_an_empty_folder_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"no \.py task file"):
        load_suite(str(tmp_path))


def test_a_file_that_is_not_python_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="not a Python file"):
        load_suite(str(_write(tmp_path, "notes.txt", "hello")))


@pytest.mark.parametrize("name", ["Model", "get_inputs", "get_init_inputs"])
def test_a_missing_part_of_the_contract_is_named(name):
    with pytest.raises(UsageError, match=f"no `{name}`"):
        check_contract(TASK.replace(f"{name}(", f"other_{name}("), "t.py")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return x * 2", "return x *", "line 6"),
        ("def get_inputs()", "def get_inputs(n)", "without arguments"),
        ("import torch\n", "from . import torch\n", "relative import"),
        ("class Model(nn.Module)", "def Model()", "not a class"),
        ("return x * 2", "return '\x00'", "t.py"),
    ],
)
def test_a_broken_file_is_a_usage_error_that_says_where(old, new, message):
    with pytest.raises(UsageError, match=message):
        check_contract(TASK.replace(old, new), "t.py")


def test_a_file_that_is_not_utf8_is_a_usage_error(tmp_path):
    (tmp_path / "a.py").write_bytes(b"# \xff\n")
    with pytest.raises(UsageError, match="UTF-8"):
        load_file(tmp_path / "a.py")


def test_checking_a_file_does_not_execute_it(tmp_path):
    marker = tmp_path / "ran"
    path = _write(tmp_path, "a.py", TASK + f"open({str(marker)!r}, 'w')\n")
    load_file(path)
    task_from_module(path, None, None)
    assert not marker.exists()


def test_a_file_without_the_contract_is_answered_with_the_class_to_name(tmp_path):
    with pytest.raises(UsageError, match=r"name it: m\.py:Block"):
        load_file(_write(tmp_path, "m.py", MODULE))


def test_a_module_with_shapes_becomes_a_task_that_runs(tmp_path):
    path = _write(tmp_path, "m.py", MODULE)
    task = task_from_module(path, "Block", "4x8")
    assert task.id == "m.Block"
    assert _run(task).shape == (4, 8)
    assert "class Model(nn.Module):  # Block is shown here" in task.source
    assert path.read_text() == MODULE


@pytest.mark.parametrize("maker", ["example_inputs", "make_inputs", "get_inputs"])
@pytest.mark.parametrize("made", ["torch.randn(4, 8)", "(torch.randn(4, 8),)", "[torch.randn(4, 8)]"])
def test_an_input_function_of_the_file_is_used(tmp_path, maker, made):
    if maker == "get_inputs" and made == "torch.randn(4, 8)":
        pytest.skip("get_inputs returns a list by contract")
    path = _write(tmp_path, "m.py", MODULE + f"\ndef {maker}():\n    return {made}\n")
    assert _run(load_suite(f"{path}:Block").tasks[0]).shape == (4, 8)


def test_given_shapes_go_before_the_function_of_the_file(tmp_path):
    path = _write(tmp_path, "m.py", MODULE + "\ndef get_inputs():\n    return [torch.randn(4, 8)]\n")
    assert _run(task_from_module(path, None, "3x8")).shape == (3, 8)


def test_a_subclass_of_another_module_of_the_file_can_be_named(tmp_path):
    text = MODULE + "\nclass Twice(Block):\n    def forward(self, x):\n        return super().forward(x) * 2\n"
    assert _run(task_from_module(_write(tmp_path, "m.py", text), "Twice", "4x8")).shape == (4, 8)


def test_a_unicode_prefix_on_the_line_does_not_shift_the_renaming(tmp_path):
    text = MODULE + '\nNAMES = ("é", Block)\n'
    source = task_from_module(_write(tmp_path, "m.py", text), "Block", "4x8").source
    assert 'NAMES = ("é", Model)' in source


@pytest.mark.parametrize(
    ("text", "class_name", "shapes", "message"),
    [
        (MODULE, "Blok", "4x8", "It has Block"),
        (MODULE, None, None, "what Block is called with"),
        (MODULE, None, "4by8", "4x8,8x16"),
        (MODULE, None, "4x0", "4x8,8x16"),
        (MODULE.replace("__init__(self)", "__init__(self, size)"), None, "4x8", "get_init_inputs"),
        (MODULE + "\ndef get_inputs(n):\n    return []\n", None, None, "needs arguments"),
        (MODULE + "\nclass Other(nn.Module):\n    pass\n", None, "4x8", "2 nn.Module classes"),
        ("x = 1\n", None, "4x8", "no nn.Module class"),
        (MODULE + "\nclass Model(nn.Module):\n    pass\n", "Block", "4x8", "another `Model`"),
    ],
)
def test_a_module_that_cannot_become_a_task_is_a_usage_error(tmp_path, text, class_name, shapes, message):
    with pytest.raises(UsageError, match=message):
        task_from_module(_write(tmp_path, "m.py", text), class_name, shapes)


def test_given_shapes_are_the_scale_of_the_task_and_part_of_its_key(tmp_path):
    path = _write(tmp_path, "m.py", MODULE)
    small, large = (load_suite(f"{path}:Block", input_shapes=shapes).tasks[0] for shapes in ("4x8", "16x8, 2"))
    assert small.key.endswith("m.Block@4x8") and large.key.endswith("m.Block@16x8,2")
    assert small.hash != large.hash


def test_a_file_with_one_module_and_shapes_needs_no_class_name(tmp_path):
    path = _write(tmp_path, "m.py", MODULE)
    assert load_suite(str(path), input_shapes="4x8").tasks[0].id == "m.Block"


def test_a_task_file_with_shapes_takes_them_instead_of_its_own_inputs(tmp_path):
    path = _write(tmp_path, "a.py", TASK)
    task = load_suite(str(path), input_shapes="3x8").tasks[0]
    assert task.key.endswith("a@3x8") and _run(task).shape == (3, 8)
