"""Names of devices, and runs on several."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from fakes import FakeEvaluator, FakePolicy
from test_runner import TASKS, make_parts, records, run

from assay.core.errors import UsageError
from assay.evaluator import judge as judge_module
from assay.evaluator.config import EvaluatorConfig
from assay.evaluator.judge import Judge
from assay.evaluator.pool import JudgePool
from assay.runs import devices
from assay.runs.build import load_evaluator, resolve
from assay.runs.config import RunConfig
from assay.runs.devices import device_list, device_named, devices_named, model_devices_named, one_device, share_a_device
from assay.runs.stages import EVALUATIONS_AHEAD, evaluations_in_hand


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr(devices, "_cuda_devices", lambda: 4)


@pytest.fixture
def none(monkeypatch):
    monkeypatch.setattr(devices, "_cuda_devices", lambda: 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cpu", "cpu"),
        ("auto", "cuda:0"),
        ("cuda", "cuda:0"),
        ("cuda:3", "cuda:3"),
        ("cuda:0, cuda:2", "cuda:0,cuda:2"),
        ("cuda:all", "cuda:0,cuda:1,cuda:2,cuda:3"),
    ],
)
def test_devices_that_programs_are_timed_on(four, text, found):
    assert devices_named(text) == found == devices_named(found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cpu", "cpu"),
        ("cuda:1,cuda:3", "cuda:1,cuda:3"),
        ("cuda:all", "cuda:0,cuda:1,cuda:2,cuda:3"),
        ("cuda:split", "cuda:0+cuda:1+cuda:2+cuda:3"),
        ("cuda:0+cuda:1,cuda:2+cuda:3", "cuda:0+cuda:1,cuda:2+cuda:3"),
    ],
)
def test_devices_of_a_model(four, text, found):
    assert model_devices_named(text) == found == model_devices_named(found)


@pytest.mark.parametrize(
    "text", ["cuda:0,cuda:0", "cuda,cuda:0", "cpu,cuda:0", "cpu,cpu", "cuda:4", "gpu", "cuda:0,", ""]
)
def test_names_that_mean_nothing_here_are_refused(four, text):
    for named in (devices_named, model_devices_named):
        with pytest.raises(UsageError, match="device"):
            named(text)


@pytest.mark.parametrize("text", ["cuda:0+cuda:1", "cuda:split"])
def test_programs_are_not_spread_over_devices(four, text):
    with pytest.raises(UsageError, match="one device each"):
        devices_named(text)


@pytest.mark.parametrize("text", ["cuda:all", "cuda:split", "cuda:0,cuda:1", "cuda"])
def test_without_a_cuda_device_the_cpu_is_named(none, text):
    with pytest.raises(UsageError, match="no CUDA device"):
        model_devices_named(text)
    assert device_named("auto") == "cpu"


def test_a_command_for_one_device_refuses_several():
    assert one_device("auto", "assay eval") == "auto"
    for text in ("cuda:0,cuda:1", "cuda:all"):
        with pytest.raises(UsageError, match="assay eval uses one device"):
            one_device(text, "assay eval")


def test_devices_in_common():
    assert device_list("cuda:0+cuda:1,cuda:2") == ("cuda:0", "cuda:1", "cuda:2")
    assert share_a_device("cuda:1", "cuda:0,cuda:1")
    assert share_a_device("cuda:2+cuda:3", "cuda:3")
    assert share_a_device("cpu", "cpu")
    assert not share_a_device("cuda:1", "cuda:10,cuda:11")
    assert not share_a_device("remote", "cpu")


def test_the_model_of_a_run_goes_to_the_first_device_unless_it_has_its_own(four):
    config = resolve(RunConfig(device="cuda:2,cuda:1"))
    assert (config.device, config.model_device) == ("cuda:2,cuda:1", "cuda:2")
    config = resolve(RunConfig(device="cuda:0,cuda:1", model_device="cuda:2+cuda:3"))
    assert config.model_device == "cuda:2+cuda:3"
    assert resolve(config) == config


def test_each_device_has_a_judge_with_cores_of_its_own(four, monkeypatch):
    monkeypatch.setattr(judge_module, "_checked_device", lambda name: name)
    monkeypatch.setattr(judge_module.torch.cuda, "get_device_capability", lambda name: (9, 0))
    monkeypatch.setattr(judge_module.os, "sched_getaffinity", lambda pid: set(range(8)))
    pool = load_evaluator(resolve(RunConfig(device="cuda:all")))
    assert isinstance(pool, JudgePool) and pool.device == "cuda:0,cuda:1,cuda:2,cuda:3"
    judges: list[Any] = [lane.judge for lane in pool._lanes]
    assert [judge._cpus for judge in judges] == [[7], [6], [5], [4]]
    assert {tuple(judge._all_timing_cpus) for judge in judges} == {(4, 5, 6, 7)}
    asyncio.run(pool.close())
    with pytest.raises(UsageError, match="each of 4 devices, and 8 cores"):
        load_evaluator(resolve(RunConfig(device="cuda:all", evaluator=EvaluatorConfig(threads=3))))


def test_one_device_has_a_plain_judge():
    evaluator = load_evaluator(resolve(RunConfig(device="cpu")))
    assert isinstance(evaluator, Judge)
    asyncio.run(evaluator.close())


def test_evaluations_in_hand_grow_with_the_devices():
    assert evaluations_in_hand("cpu") == 1
    assert evaluations_in_hand("cuda:1") == EVALUATIONS_AHEAD
    assert evaluations_in_hand("cuda:0,cuda:1,cuda:2") == 3 * EVALUATIONS_AHEAD


class Busy(FakeEvaluator):
    """Notes how many evaluations it has in hand at most, and whether the model was sampled meanwhile."""

    def __init__(self, device, sampling):
        super().__init__(device, pause_s=1e-3)
        self.now, self.most, self.sampling, self.overlaps = 0, 0, sampling, 0

    async def evaluate(self, task, candidate):
        self.now += 1
        self.most = max(self.most, self.now)
        found = await super().evaluate(task, candidate)
        self.overlaps += self.sampling["now"]
        self.now -= 1
        return found


class Counted(FakePolicy):
    def __init__(self, device):
        super().__init__(device)
        self.sampling = {"now": 0}

    def base(self):
        sampler, sampling = super().base(), self.sampling
        inner = sampler.sample

        async def sample(prompt, n, params):
            sampling["now"] += 1
            await asyncio.sleep(2e-3)
            try:
                return await inner(prompt, n, params)
            finally:
                sampling["now"] -= 1

        sampler.sample = sample
        return sampler


def run_on(directory, model, judges):
    policy = Counted(model)
    evaluators = [Busy(name, policy.sampling) for name in judges]
    run(directory, make_parts(JudgePool(evaluators), policy))
    return evaluators


def test_a_run_on_several_devices_stores_what_a_run_on_one_stores(tmp_path):
    run(tmp_path / "one", make_parts(FakeEvaluator("cuda:0"), FakePolicy("cuda:0")))
    evaluators = run_on(tmp_path / "two", "cuda:0", ["cuda:0", "cuda:1"])
    assert records(tmp_path / "two") == records(tmp_path / "one")
    asked = Counter(one for evaluator in evaluators for one in evaluator.asked)
    assert set(asked.values()) == {1}
    for evaluator in evaluators:
        assert {kind for kind, _, _ in evaluator.asked} == {"evaluate", "remeasure"}
        assert 1 < evaluator.most <= EVALUATIONS_AHEAD
    assert {key for evaluator in evaluators for _, key, _ in evaluator.asked} == {task.key for task in TASKS}


@pytest.mark.parametrize("model", ["cuda:0", "cuda:1", "cuda:1,cuda:2", "cuda:1+cuda:3"])
def test_a_model_on_a_device_of_a_judge_does_not_sample_while_programs_are_timed(tmp_path, model):
    assert [evaluator.overlaps for evaluator in run_on(tmp_path / "run", model, ["cuda:0", "cuda:1"])] == [0, 0]


def test_a_model_on_devices_of_its_own_samples_meanwhile(tmp_path):
    assert sum(evaluator.overlaps for evaluator in run_on(tmp_path / "run", "cuda:2,cuda:3", ["cuda:0", "cuda:1"])) > 0
