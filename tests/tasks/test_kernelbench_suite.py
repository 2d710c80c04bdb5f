import json
import os

import pytest

from assay.core.errors import UsageError
from assay.tasks import kernelbench
from assay.tasks.constants import input_elements
from assay.tasks.kernelbench import CHECKOUT_VARIABLE, load_kernelbench
from assay.tasks.suites import load_suite

TASK = "class Model: pass\ndef get_inputs(): return []\ndef get_init_inputs(): return []\n"
needs_checkout = pytest.mark.skipif(CHECKOUT_VARIABLE not in os.environ, reason=f"{CHECKOUT_VARIABLE} is not set")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    folder = tmp_path / "KernelBench" / "level1"
    folder.mkdir(parents=True)
    for name in ("10_b.py", "2_a.py", "1_c.py"):
        (folder / name).write_text(TASK)
    (folder / "helper.py").write_text("")
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(tmp_path))
    return tmp_path


def test_ids_are_the_published_numbers_in_numeric_order(checkout):
    suite = load_suite("kernelbench/1")
    assert [(task.id, task.name) for task in suite.tasks] == [("1", "1_c"), ("2", "2_a"), ("10", "10_b")]
    assert suite.tasks[0].key == "kernelbench/1/1"


def test_the_folder_of_the_levels_works_as_the_root_does(checkout, monkeypatch):
    root = load_suite("kernelbench/1")
    monkeypatch.setenv(CHECKOUT_VARIABLE, str(checkout / "KernelBench"))
    assert load_suite("kernelbench/1") == root


def test_a_level_that_the_checkout_lacks_is_a_usage_error(checkout):
    with pytest.raises(UsageError, match="no KernelBench/level2"):
        load_suite("kernelbench/2")


def test_an_empty_level_is_a_usage_error(checkout):
    (checkout / "KernelBench" / "level3").mkdir()
    with pytest.raises(UsageError, match="no problem file"):
        load_suite("kernelbench/3")


def test_without_a_checkout_and_without_the_hub_both_remedies_are_named(monkeypatch):
    monkeypatch.delenv(CHECKOUT_VARIABLE, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr(kernelbench, "HUB_DATASET", "no-such-owner/no-such-data")
    with pytest.raises(UsageError, match=r"(pip install|HF_HUB_OFFLINE).*ASSAY_KERNELBENCH"):
        load_kernelbench(1)


@needs_checkout
@pytest.mark.parametrize(("level", "count"), [(1, 100), (2, 100), (3, 50), (4, 20)])
def test_all_published_problems_load(level, count):
    suite = load_suite(f"kernelbench/{level}")
    assert [task.id for task in suite.tasks] == [str(number) for number in range(1, count + 1)]


@needs_checkout
@pytest.mark.parametrize("level", [1, 2])
def test_small_inputs_fit_in_16_mb_and_differ_from_the_published_ones(level):
    published, small = load_suite(f"kernelbench/{level}"), load_suite(f"kernelbench/{level}", "small")
    for task, scaled in zip(published.tasks, small.tasks, strict=True):
        assert scaled.key == f"{task.key}@small"
        assert scaled.source != task.source
        assert (input_elements(scaled.source) or 0) * 4 <= 16 * 2**20, task.name


def test_findings_of_an_audit_become_warnings_of_the_audited_source_and_scale_only(checkout, monkeypatch):
    first, second, _ = load_suite("kernelbench/1").tasks
    entry = {"assay": ["unfit"], "kernelbench": ["accepts zeros"]}
    tasks = {first.id: {"hash": first.hash, **entry}, second.id: {"hash": "another text", **entry}}
    (checkout / "audit.json").write_text(json.dumps({"kernelbench/1": {"default": {"tasks": tasks}}}))
    monkeypatch.setattr(kernelbench, "AUDIT", checkout / "audit.json")
    assert [task.warnings for task in load_suite("kernelbench/1").tasks] == [("unfit", "accepts zeros"), (), ()]
    assert not any(task.warnings for task in load_suite("kernelbench/1", "small").tasks)


@needs_checkout
def test_every_shipped_finding_is_of_a_published_problem():
    document = json.loads(kernelbench.AUDIT.read_text())
    assert document["kernelbench/1"]["small"]["audited"] == 100
    for suite, scales in document.items():
        for scale, found in scales.items():
            warned = {task.id for task in load_suite(suite, scale).tasks if task.warnings}
            assert warned == set(found["tasks"]), (suite, scale)
