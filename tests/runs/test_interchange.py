"""KernelBench's run directories: reading theirs, comparing, and writing ours."""

import json

import pytest
from fakes import FakeEvaluator, make_task

from assay.core.errors import UsageError
from assay.core.records import Status, Suite
from assay.runs.interchange import Counts, compare, count, read_kernelbench_run, tasks_of

PROGRAM = "class ModelNew(Model): pass  # ratio={}\n"


def _entry(sample, **more):
    return {"sample_id": sample, "compiled": True, "correctness": True, "metadata": {}, "runtime_stats": {}, **more}


def _write(folder, results=None, **kernels):
    """kernels: `p4_s0="source"`; all of level 1."""
    folder.mkdir(exist_ok=True)
    for name, source in kernels.items():
        problem, sample = name.removeprefix("p").split("_s")
        (folder / f"level_1_problem_{problem}_sample_{sample}_kernel.py").write_text(source)
    if results is not None:
        (folder / "eval_results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture
def their_run(tmp_path):
    results = {
        "4": [
            _entry(0, runtime=2.0, ref_runtime=3.0),
            _entry(1, runtime=1.5),
            _entry(2, compiled=False, correctness=False, runtime=-1.0),
        ],
        "12": [_entry(0, correctness=False, runtime=-1.0)],
    }
    kernels = {"p4_s0": PROGRAM.format(1.3), "p4_s1": PROGRAM.format(1.3), "p4_s2": "def :", "p12_s0": "x = 1\n"}
    folder = _write(tmp_path / "run", results, **kernels, p4_s10=PROGRAM.format(1.0) + "# status=wrong_output\n")
    (folder / "level_1_problem_4_sample_0_prompt.txt").write_text("not a kernel")
    return folder


def test_generations_come_in_numeric_order_with_their_results(their_run):
    found = read_kernelbench_run(their_run)
    assert [(one.problem, one.sample) for one in found] == [("4", 0), ("4", 1), ("4", 2), ("4", 10), ("12", 0)]
    first, second, third, fourth, fifth = (one.theirs for one in found)
    assert first is not None and (first.runtime_ms, first.ref_runtime_ms, first.ratio) == (2.0, 3.0, 1.5)
    assert second is not None and second.runtime_ms == 1.5 and second.ratio is None
    assert third is not None and not third.compiled and third.runtime_ms is None
    assert fourth is None
    assert fifth is not None and fifth.compiled and not fifth.correctness


def test_the_older_form_with_one_result_a_problem_is_read(tmp_path):
    folder = _write(tmp_path / "run", {"4": _entry(0, runtime=2.0)}, p4_s0="x = 1\n")
    (found,) = read_kernelbench_run(folder)
    assert found.theirs is not None and found.theirs.runtime_ms == 2.0


def test_a_run_without_results_has_none(tmp_path):
    (found,) = read_kernelbench_run(_write(tmp_path / "run", p4_s0="x = 1\n"))
    assert found.theirs is None and found.level == 1


def test_kernels_of_two_levels_need_the_level_to_be_named(tmp_path):
    folder = _write(tmp_path / "run", p4_s0="x = 1\n")
    (folder / "level_2_problem_7_sample_0_kernel.py").write_text("x = 2\n")
    with pytest.raises(UsageError, match="levels 1, 2: name one with --level"):
        read_kernelbench_run(folder)
    assert [one.problem for one in read_kernelbench_run(folder, 2)] == ["7"]
    with pytest.raises(UsageError, match="no kernel of level 3"):
        read_kernelbench_run(folder, 3)


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"4": [{"runtime": "fast"}]}', '{"four": []}', '{"four": {}}', '{"4": 7}']
)
def test_results_that_cannot_be_read_are_a_usage_error(tmp_path, text):
    folder = _write(tmp_path / "run", p4_s0="x = 1\n")
    (folder / "eval_results.json").write_text(text)
    if text == '{"four": []}':  # says nothing of any generation
        assert read_kernelbench_run(folder)[0].theirs is None
        return
    with pytest.raises(UsageError, match=r"eval_results\.json: not KernelBench's results"):
        read_kernelbench_run(folder)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_directory_without_kernels_is_a_usage_error(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=name):
        read_kernelbench_run(tmp_path / name)


def test_each_program_of_a_problem_is_evaluated_once_and_both_verdicts_are_counted(their_run):
    generations = read_kernelbench_run(their_run)
    suite = Suite(name="kernelbench/1", tasks=(make_task("4", "kernelbench/1"), make_task("12", "kernelbench/1")))
    evaluator, heard = FakeEvaluator(), []
    kept = [one for one in generations if one.problem == "4"]
    compared = compare(kept, tasks_of(kept, suite), evaluator, heard.append)
    assert len(evaluator.asked) == 2  # two of the four are one program, one does not parse
    assert heard == list(compared)
    assert [one.ours.status for one in compared] == [
        Status.CORRECT,
        Status.CORRECT,
        Status.PARSE_ERROR,
        Status.WRONG_OUTPUT,
    ]
    assert count(compared) == Counts(
        samples=4,
        with_result=3,
        correct_theirs=2,
        correct_ours=2,
        correct_theirs_only=0,
        fast_theirs=1,
        faster_ours=2,
    )


def test_a_problem_that_the_level_has_not_is_named(their_run):
    with pytest.raises(UsageError, match="no problem 4, 12"):
        tasks_of(read_kernelbench_run(their_run), Suite(name="kernelbench/1", tasks=()))
