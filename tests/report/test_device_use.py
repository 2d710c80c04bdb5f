import pytest
from fakes import make_task

from assay.core.ledger import Spend
from assay.report.devices import DeviceUse, _use, device_use
from assay.runs.store import RunStore, Session

SPENT = Spend(sampling_s=30, training_s=10, evaluation_s=20)


def test_two_devices_are_idle_each_for_itself():
    found = _use([Session("cuda:0", "cuda:1", 50.0), Session("cuda:0", "cuda:1", 30.0)], SPENT)
    assert found is not None and not found.is_shared
    assert (found.wall_s, found.model_idle, found.evaluator_idle) == (80, pytest.approx(0.5), pytest.approx(0.75))
    assert "cuda:0 (model) was idle for 50%" in found.in_words() and "cuda:1 (programs) for 75%" in found.in_words()


def test_one_device_is_busy_with_either():
    found = _use([Session("cpu", "cpu", 80.0)], SPENT)
    assert found is not None and found.is_shared
    assert found.model_idle == found.evaluator_idle == pytest.approx(0.25)
    assert found.in_words() == "cpu was idle for 25% of 80 s at work."


def test_of_several_devices_those_that_only_programs_use_wait_while_the_model_works():
    found = _use([Session("cuda:0", "cuda:0,cuda:1", 80.0)], SPENT)
    assert found is not None and found.is_shared and found.programs_alone == ("cuda:1",)
    words = "cuda:0 was idle for 25% of 80 s at work, cuda:1 (programs alone) for at least 75%."
    assert found.in_words() == words
    found = _use([Session("cuda:0,cuda:1", "cuda:1", 80.0)], SPENT)
    assert found is not None and found.model_alone == ("cuda:0",)
    words = "cuda:1 was idle for 25% of 80 s at work, cuda:0 (model alone) for at least 50%."
    assert found.in_words() == words


def test_evaluations_that_a_clock_counts_longer_than_the_wall_leave_no_negative_share():
    found = DeviceUse(
        model_device="a", evaluator_device="b", is_shared=False, wall_s=1, model_busy_s=0, evaluator_busy_s=2
    )
    assert (found.model_idle, found.evaluator_idle) == (1.0, 0.0)


def test_a_run_without_a_clock_says_nothing(tmp_path):
    with RunStore.create(tmp_path / "run", {}, [make_task()]) as store:
        assert device_use(store) is None
