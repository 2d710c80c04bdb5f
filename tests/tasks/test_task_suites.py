import subprocess
import sys

import pytest

from assay.core.errors import UsageError
from assay.core.records import Suite, Task
from assay.tasks.suites import load_suite, select_tasks


def _suite(*ids: str) -> Suite:
    return Suite(name="s", tasks=tuple(Task(suite="s", id=i, name=i, source="") for i in ids))


def _ids(suite: Suite) -> list[str]:
    return [task.id for task in suite.tasks]


def test_starter_loads_by_name():
    suite = load_suite("starter")
    assert suite.name == "starter"
    assert len(suite.tasks) >= 30


@pytest.mark.parametrize("spec", ["starters", "kernelbench/5", "kernelbench", "no/such/folder", "no_such.py"])
def test_an_unknown_suite_is_a_usage_error_that_names_it(spec):
    with pytest.raises(UsageError) as raised:
        load_suite(spec)
    assert spec in str(raised.value)


def test_a_misspelt_suite_is_answered_with_the_right_one():
    with pytest.raises(UsageError, match="Did you mean starter"):
        load_suite("startr")


def test_a_scale_that_a_suite_does_not_have_is_a_usage_error():
    with pytest.raises(UsageError, match="default and gpu"):
        load_suite("starter", "small")


def test_selection_keeps_the_order_of_the_suite():
    assert _ids(select_tasks(_suite("1", "2", "3"), ["3", "1", "3"], None)) == ["1", "3"]


def test_offset_comes_before_limit():
    assert _ids(select_tasks(_suite("1", "2", "3"), None, 1, offset=1)) == ["2"]
    assert _ids(select_tasks(_suite("1", "2", "3"), ["1", "3"], 5, offset=1)) == ["3"]


@pytest.mark.parametrize(("wanted", "similar"), [("diagonal_matmull", "diagonal_matmul"), ("softmax", "plain_softmax")])
def test_an_unknown_id_is_answered_with_similar_ones(wanted, similar):
    with pytest.raises(UsageError, match=rf"no task '{wanted}'.*{similar}"):
        select_tasks(load_suite("starter"), [wanted], None)


def test_a_padded_number_is_answered_with_the_published_id():
    with pytest.raises(UsageError, match=r"Did you mean 12\?"):
        select_tasks(_suite("2", "12", "112"), ["012"], None)


@pytest.mark.parametrize(("limit", "offset"), [(0, 0), (-1, 0), (None, -1), (None, 3), (1, 9)])
def test_an_empty_selection_is_a_usage_error(limit, offset):
    with pytest.raises(UsageError):
        select_tasks(_suite("1", "2", "3"), None, limit, offset)


def test_loading_a_suite_does_not_import_torch():
    code = "import sys, assay.tasks.suites as s; s.load_suite('starter'); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
