import asyncio
import dataclasses
import json

import pytest
from fakes import FakeEvaluator

from assay.core.errors import PolicyError, UsageError
from assay.policies.models import REGISTRY
from assay.runs import lifecycle
from assay.runs.build import (
    chosen_tasks,
    default_chunk,
    first_available,
    prompt_of,
    reference_copy,
    resolve,
    strategy_of,
)
from assay.runs.config import load_config
from assay.runs.plan import plan_run
from assay.runs.single import reference_task
from assay.runs.store import RunStore
from assay.strategies.protocol import RoundPlan
from assay.strategies.test_time_training import BatchTestTimeTraining
from assay.tasks.splits import make_split, write_split
from assay.tasks.suites import load_suite

# Three bodies of forward: right, right in another way, and no program.
BODIES = ["return torch.nn.functional.gelu(x)\n", "y = torch.nn.functional.gelu(x)\n        return y\n", "(((\n"]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"completions": {"*": BODIES}}))
    return path


@pytest.fixture
def fake_judge(monkeypatch):
    """Calls every program the same."""

    class Even(FakeEvaluator):
        async def evaluate(self, task, candidate):
            self.asked.append(("evaluate", task.key, candidate.hash))
            marked = candidate.model_copy(update={"source": candidate.source + "# ratio=1.0"})
            found = await super().evaluate(task, marked)
            return found.model_copy(update={"candidate_hash": candidate.hash})

        remeasure = evaluate

    monkeypatch.setattr(lifecycle, "load_evaluator", lambda config: Even())


def configure(**options):
    given = {"device": "cpu", "tasks.ids": ("plain_gelu",), "strategy.k": 6, "sampling.chunk": 2}
    return resolve(load_config(None, given | options))


def begin(config, directory):
    tools = lifecycle.load_tools(config)
    asyncio.run(lifecycle.begin(config, chosen_tasks(config), directory, tools, ["test"]))


def go_on(directory):
    config = lifecycle.unfinished(directory)
    assert config is not None
    asyncio.run(lifecycle.go_on(directory, lifecycle.load_tools(config), ["test"]))


@pytest.mark.parametrize(
    ("model", "device", "chunk"),
    [
        ("qwen2.5-coder-0.5b", "cpu", 8),
        ("qwen2.5-coder-0.5b", "cuda:0", 64),
        ("qwen2.5-coder-0.5b", "cuda:0+cuda:1,cuda:2+cuda:3", 64),
        ("openai:some@http://127.0.0.1:1/v1", "cpu", 64),
        ("tinker:some", "cpu", 64),
        ("replay:runs/a", "cpu", 8),
    ],
)
def test_the_default_chunk_follows_the_device_of_the_model(model, device, chunk):
    assert default_chunk(model, device) == chunk


def test_a_resolved_run_has_a_chunk_and_one_that_was_named_is_kept():
    assert resolve(load_config(None, {"device": "cpu"})).sampling.chunk == 8
    assert resolve(load_config(None, {"device": "cpu", "sampling.chunk": 64})).sampling.chunk == 64


def test_a_scripted_run_stores_programs_of_every_kind(script, fake_judge, tmp_path):
    begin(configure(model=f"scripted:{script}"), tmp_path / "run")
    with RunStore.open(tmp_path / "run") as store:
        attempts = store.attempts()
        assert store.is_complete() and len(attempts) == 6
        assert {a.evaluation.status for a in attempts} >= {"correct"}
        assert all("class ModelNew" in a.candidate.source for a in attempts if a.candidate)


def test_a_replayed_run_has_the_same_completions_and_programs(script, fake_judge, tmp_path):
    begin(configure(model=f"scripted:{script}", **{"prompt.format": "body"}), tmp_path / "run")
    begin(configure(model=f"replay:{tmp_path / 'run'}", **{"prompt.format": "module"}), tmp_path / "again")
    with RunStore.open(tmp_path / "run") as first, RunStore.open(tmp_path / "again") as second:
        assert [a.sample.completion for a in first.attempts()] == [a.sample.completion for a in second.attempts()]
        assert [a.candidate for a in first.attempts()] == [a.candidate for a in second.attempts()]


def test_a_replay_that_is_resumed_goes_on_where_it_was(script, fake_judge, tmp_path):
    begin(configure(model=f"scripted:{script}"), tmp_path / "run")
    config = configure(model=f"replay:{tmp_path / 'run'}")
    begin(config, tmp_path / "again")
    with RunStore.open(tmp_path / "again", writable=True) as store:
        whole = [a.sample for a in store.attempts()]
        sql = store._connection
        sql.execute("DELETE FROM samples WHERE idx >= 2")
        sql.execute("DELETE FROM rounds")
        sql.execute("DELETE FROM meta WHERE key = 'finished_at'")
    go_on(tmp_path / "again")
    with RunStore.open(tmp_path / "again") as store:
        assert [a.sample for a in store.attempts()] == whole


def test_other_weights_than_those_a_round_was_begun_with_are_refused(script, fake_judge, tmp_path):
    begin(configure(model=f"scripted:{script}"), tmp_path / "run")
    with RunStore.open(tmp_path / "run", writable=True) as store:
        store._connection.execute("DELETE FROM rounds")
        store._connection.execute("DELETE FROM meta WHERE key = 'finished_at'")
    script.write_text(json.dumps({"completions": {"*": ["return x"]}}))
    with pytest.raises(UsageError, match="begun with other weights"):
        go_on(tmp_path / "run")


def test_a_path_in_the_model_is_made_absolute(script, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert configure(model="scripted:script.json").model == f"scripted:{script}"


def test_ids_come_out_of_the_chosen_half_of_a_split(tmp_path):
    suite = load_suite("starter")
    split = make_split("starter", [task.id for task in suite.tasks], seed=42)
    config = load_config(None, {"tasks.split": "seed:42", "tasks.part": "eval"})
    assert {task.id for task in chosen_tasks(config)} == set(split.eval)
    write_split(split, tmp_path / "split.json")
    from_file = load_config(None, {"tasks.split": str(tmp_path / "split.json"), "tasks.part": "train"})
    assert {task.id for task in chosen_tasks(from_file)} == set(split.train)
    with pytest.raises(UsageError, match="no task"):
        chosen_tasks(load_config(None, {"tasks.split": "seed:42", "tasks.ids": (split.train[0],)}))


def test_a_split_of_another_suite_is_refused(tmp_path):
    write_split(make_split("other", ["1", "2", "3"], seed=0), tmp_path / "split.json")
    with pytest.raises(UsageError, match="of suite other"):
        chosen_tasks(load_config(None, {"tasks.split": str(tmp_path / "split.json")}))


def test_subsets_are_consecutive_fives():
    ids = [task.id for task in load_suite("starter").tasks]
    assert [task.id for task in chosen_tasks(load_config(None, {"tasks.subset": 2}))] == ids[5:10]


def test_the_plan_bounds_what_a_run_can_cost():
    config = configure(model="smollm2-135m", **{"tasks.ids": ("plain_gelu", "cumsum_loop")})
    plan = plan_run(config, chosen_tasks(config))
    assert (plan.samples, plan.evaluations, plan.controls, plan.remeasurements) == (12, 12, 2, 6)
    assert plan.completion_tokens == 12 * 256 and plan.prompt_tokens > 0


def test_a_copy_of_the_reference_stands_alone():
    for task in load_suite("starter").tasks:
        source = reference_copy(task).source
        assert "class ModelNew" in source and "class Model(" not in source


def test_a_reference_is_a_file_or_a_task_of_a_suite(tmp_path):
    assert reference_task("starter/plain_gelu").id == "plain_gelu"
    path = tmp_path / "mine.py"
    path.write_text(load_suite("starter").tasks[0].source)
    assert reference_task(str(path)).id == "mine"
    assert reference_task(f"{path}:Model").id == "mine"


def test_where_no_source_of_a_model_answers_the_next_one_is_taken(monkeypatch, tmp_path):
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path))
    for name in ("qwen2.5-coder-0.5b", "smollm2-135m"):
        monkeypatch.setitem(REGISTRY, name, dataclasses.replace(REGISTRY[name], sources=()))
    (tmp_path / "unpacked" / REGISTRY["smollm2-135m"].sha256[:16]).mkdir(parents=True)  # this one is here already
    heard = []
    assert first_available(("qwen2.5-coder-0.5b", "smollm2-135m"), lambda *_: None, heard.append) == "smollm2-135m"
    assert "could not be obtained" in heard[0] and "Going on without qwen2.5-coder-0.5b" in heard[0]
    with pytest.raises(PolicyError, match="could not be obtained"):
        first_available(("qwen2.5-coder-0.5b",), lambda *_: None, heard.append)


def test_ttt_gets_its_settings_from_the_configuration():
    options = {"strategy.type": "ttt", "strategy.steps": 1, "strategy.max_grad_norm": 0, "strategy.k": 2}
    config = configure(model="smollm2-135m", **options)
    tasks = chosen_tasks(config)
    strategy = strategy_of(config, tasks, prompt_of(config, "completion"))
    assert isinstance(strategy, BatchTestTimeTraining) and strategy.learns
    assert [strategy.plan(n) == RoundPlan.even(n, tasks, 2) for n in range(3)] == [True, True, False]
    assert strategy.settings.adam.max_grad_norm is None and strategy.settings.lora.rank == 16
    plan = plan_run(config, tasks)
    assert (plan.samples, plan.rounds, plan.updates, plan.remeasurements) == (4, 2, 1, 3)


def test_a_model_that_cannot_be_trained_is_refused_by_ttt(script):
    with pytest.raises(UsageError, match="cannot be trained"):
        configure(model=f"scripted:{script}", **{"strategy.type": "ttt"})
