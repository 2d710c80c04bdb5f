"""Batch test-time training on a bandit whose gradients are known, and on a tiny model with a real optimizer."""

import asyncio
import importlib
import json
import random
from pathlib import Path

import fakes
import numpy as np
import pytest
from bandit import LOSSES, MOMENTUM, BanditPolicy, log_softmax
from fakes import BODIES, FakeEvaluator, FakePolicy, render
from interrupted import kill_twice
from training_runs import (
    ARM,
    TASKS,
    attempt,
    check_every_stop,
    make_parts,
    make_settings,
    records,
    run,
    stopped_run,
)

from assay.core.errors import StoreError, UsageError
from assay.core.protocols import LoraConfig
from assay.core.records import Candidate
from assay.learning.names import AdvantageName
from assay.learning.rewards import RewardConfig
from assay.report.adaptation import adaptation
from assay.runs.runner import learned_directory
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.strategies.notes import read_notes, read_state
from assay.strategies.objective import PolicyGradient
from assay.strategies.protocol import RoundPlan
from assay.strategies.settings import StartWeights
from assay.strategies.test_time_training import BatchTestTimeTraining

BEST, FASTER = ARM["1.6"], ARM["1.3"]


def make_strategy(
    steps=2,
    samples=8,
    tasks=TASKS,
    seed=0,
    rate=0.05,
    prompt=render,
    advantage: AdvantageName = "group_center",
    isolate=False,
    **changes,
):
    settings = make_settings(steps, seed, rate, **changes)
    return BatchTestTimeTraining(tasks, samples, prompt, settings, PolicyGradient(settings, advantage), isolate)


def learn(strategy, policy, attempts, directory: Path, round: int = 0):
    async def learned():
        await strategy.open(policy, None)
        return await strategy.learn(RoundPlan.even(round, TASKS, 4), attempts, directory)

    return asyncio.run(learned())


# -- one update -------------------------------------------------------------------------------------------------

ARMS = {"fake/1": [1, 3, 4, 4], "fake/2": [3, 3, 5, 1]}
RATIOS = {"fake/1": [1.0, 1.3, 1.6, 1.6], "fake/2": [1.3, 1.3, 0.8, 1.0]}


def read_note(directory: Path):
    (note,) = read_notes(directory)
    return note


def some_attempts():
    return [attempt(task, arm, index) for task in TASKS for index, arm in enumerate(ARMS[task.key])]


def by_hand(name: str) -> list[list[float]]:
    rows = [np.array(RATIOS[task.key]) for task in TASKS]
    every = np.concatenate(rows)
    match name:
        case "group_center":
            return [(r - r.mean()).tolist() for r in rows]
        case "grpo":
            return [((r - r.mean()) / (r.std(ddof=1) + 1e-6)).tolist() for r in rows]
        case "rloo":
            return [[r[i] - np.delete(r, i).mean() for i in range(4)] for r in rows]
    return [((r - every.mean()) / every.std(ddof=1)).tolist() for r in rows]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ["group_center", "grpo", "rloo", "global"])
def test_an_update_moves_the_weights_as_its_formula_says(tmp_path, name, loss):
    policy = BanditPolicy()
    lesson = learn(make_strategy(advantage=name, loss=loss, rate=0.1), policy, some_attempts(), tmp_path)
    p = np.full(len(BODIES), 1 / len(BODIES))
    expected = np.zeros(len(BODIES))
    for task, advantages_G in zip(TASKS, by_hand(name), strict=True):
        for arm, advantage in zip(ARMS[task.key], advantages_G, strict=True):
            expected += 0.1 * advantage * (np.eye(len(BODIES))[arm] - p)
    assert policy.trainers[0].logits == pytest.approx(expected)
    assert lesson.spend.updates == 1
    assert [lesson.rewards[f"0:fake/1:{i}"] for i in range(4)] == pytest.approx(RATIOS["fake/1"])


def test_equal_rewards_make_no_update_and_say_so(tmp_path):
    policy = BanditPolicy()
    attempts = [attempt(task, 1, index) for task in TASKS for index in range(4)]
    lesson = learn(make_strategy(), policy, attempts, tmp_path)
    note = read_note(tmp_path)
    assert lesson.spend.updates == 0 and policy.trainers[0].steps == 0
    assert note is not None and not note.is_updated and note.constant == 2 and not note.is_stopped
    assert "all equal" in note.why_not
    assert (tmp_path / "trainer").is_dir()


def test_a_task_with_equal_rewards_is_left_out_of_the_update(tmp_path):
    attempts = [attempt(TASKS[0], arm, i) for i, arm in enumerate([1, 3, 4, 4])]
    attempts += [attempt(TASKS[1], 3, i) for i in range(4)]
    learn(make_strategy(), BanditPolicy(), attempts, tmp_path)
    note = read_note(tmp_path)
    assert note is not None and note.is_updated and (note.groups, note.constant, note.items) == (2, 1, 4)


def test_the_last_round_is_not_learned_from(tmp_path):
    policy = BanditPolicy()
    lesson = learn(make_strategy(steps=2), policy, some_attempts(), tmp_path, round=2)
    assert policy.trainers[0].steps == 0 and lesson.spend.updates == 0 and len(lesson.rewards) == 8
    assert not (tmp_path / "trainer").exists()


def test_a_prompt_that_has_changed_is_refused(tmp_path):
    strategy = make_strategy(prompt=lambda task: render(task).model_copy(update={"text": "another"}))
    with pytest.raises(UsageError, match="another prompt"):
        learn(strategy, BanditPolicy(), some_attempts(), tmp_path)


@pytest.mark.parametrize(
    ("policy", "changes", "message"),
    [
        (FakePolicy(), {}, "cannot be trained"),
        (BanditPolicy(losses=("ppo",)), {}, "no loss importance_sampling"),
        (BanditPolicy(can_score=False), {"kl_limit": 0.5}, "strategy.kl_limit=0"),
    ],
)
def test_a_policy_that_lacks_what_is_needed_is_refused_before_anything_is_sampled(tmp_path, policy, changes, message):
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "run", make_strategy(**changes), policy)
    with RunStore.open(tmp_path / "run") as store:
        assert list(store.samples()) == []


# -- KL shaping and guardrails ----------------------------------------------------------------------------------


def test_shaping_charges_the_tokens_that_drifted_more_than_the_batch(tmp_path):
    """Weights that prefer arm 4: its samples drifted by d_4 from the start, the others by d; the mean is in between."""
    policy, settings = BanditPolicy(), make_settings(rate=0.1, kl_coef=0.1)
    strategy = BatchTestTimeTraining(TASKS, 4, render, settings, PolicyGradient(settings, "group_center"))
    start = log_softmax(np.zeros(len(BODIES)))
    moved = log_softmax(np.eye(len(BODIES))[4])
    attempts = [attempt(t, arm, i, logprob=float(moved[arm])) for t in TASKS for i, arm in enumerate(ARMS[t.key])]
    attempts = [a.model_copy(update={"sample": a.sample.model_copy(update={"snapshot_id": "moved"})}) for a in attempts]
    learn(strategy, policy, attempts, tmp_path)
    gaps = {arm: float(moved[arm] - start[arm]) for arm in range(len(BODIES))}
    mean = np.mean([gaps[arm] for task in TASKS for arm in ARMS[task.key]])
    p = np.full(len(BODIES), 1 / len(BODIES))
    expected = np.zeros(len(BODIES))
    for task, advantages_G in zip(TASKS, by_hand("group_center"), strict=True):
        for arm, advantage in zip(ARMS[task.key], advantages_G, strict=True):
            shaped = advantage + 0.1 * (mean - gaps[arm])
            ratio = np.exp(start[arm] - moved[arm])  # the trainer still has the start's weights
            expected += 0.1 * ratio * shaped * (np.eye(len(BODIES))[arm] - p)
    assert policy.trainers[0].logits == pytest.approx(expected)
    assert read_note(tmp_path).drift == pytest.approx(mean)


def test_a_group_of_equal_rewards_is_not_shaped(tmp_path):
    policy, settings = BanditPolicy(), make_settings(kl_coef=0.1)
    strategy = BatchTestTimeTraining(TASKS, 4, render, settings, PolicyGradient(settings, "group_center"))
    attempts = [attempt(task, 1, index) for task in TASKS for index in range(4)]
    learn(strategy, policy, attempts, tmp_path)
    assert policy.trainers[0].steps == 0 and "all equal" in read_note(tmp_path).why_not


def test_a_reward_that_is_no_number_ends_the_training_and_is_not_stored(tmp_path):
    attempts = some_attempts()
    broken = attempts[0].evaluation
    assert broken.speedup is not None
    endless = broken.speedup.model_copy(update={"ratio": float("inf"), "high": float("inf")})
    attempts[0] = attempts[0].model_copy(update={"evaluation": broken.model_copy(update={"speedup": endless})})
    lesson = learn(make_strategy(), BanditPolicy(), attempts, tmp_path)
    note = read_note(tmp_path)
    assert note.is_stopped and "not a finite number" in note.why_not and note.mean_reward is None
    assert "0:fake/1:0" not in lesson.rewards and len(lesson.rewards) == 7


@pytest.mark.parametrize(("collapse_below", "is_stopped"), [(0.5, True), (0.1, False), (0.0, False)])
def test_a_collapse_of_the_reward_ends_the_training(tmp_path, collapse_below, is_stopped):
    strategy = make_strategy(steps=5, collapse_below=collapse_below)

    async def learned():
        await strategy.open(BanditPolicy(), None)
        for round, arms in enumerate(([3, 4, 4, 3], [6, 6, 6, 1])):  # mean 1.45, then 0.25
            attempts = [attempt(task, arm, i, round) for task in TASKS for i, arm in enumerate(arms)]
            (tmp_path / str(round)).mkdir()
            await strategy.learn(RoundPlan.even(round, TASKS, 4), attempts, tmp_path / str(round))

    asyncio.run(learned())
    note = read_note(tmp_path / "1")
    assert note.is_stopped == is_stopped and (strategy.plan(2) is None) == is_stopped
    assert ("fell from 1.45 to 0.25" in note.why_not) == is_stopped


def test_notes_of_earlier_versions_are_read(tmp_path):
    learn(make_strategy(), BanditPolicy(), some_attempts(), tmp_path)
    stored = json.loads((tmp_path / "step.json").read_text())
    (note,) = stored["notes"]
    old = {key: note[key] for key in note if key not in ("task_key", "role", "teacher_gap", "solutions")}
    (tmp_path / "step.json").write_text(json.dumps({"note": old | {"is_stopped": True}, "history": stored["history"]}))
    assert read_state(tmp_path).stopped == ("",) and read_note(tmp_path).items == 8


# -- isolated tasks and weights to start from -------------------------------------------------------------------


def test_isolated_tasks_learn_from_their_own_samples_alone(tmp_path):
    policy = BanditPolicy()
    strategy = make_strategy(rate=0.1, isolate=True)
    lesson = learn(strategy, policy, some_attempts(), tmp_path)
    p = np.full(len(BODIES), 1 / len(BODIES))
    for number, (task, advantages_G) in enumerate(zip(TASKS, by_hand("group_center"), strict=True)):
        expected = np.zeros(len(BODIES))
        for arm, advantage in zip(ARMS[task.key], advantages_G, strict=True):
            expected += 0.1 * advantage * (np.eye(len(BODIES))[arm] - p)
        assert policy.trainers[number].logits == pytest.approx(expected)
    assert lesson.spend.updates == 2
    assert [note.task_key for note in read_notes(tmp_path)] == [task.key for task in TASKS]


def test_an_isolated_run_samples_each_task_from_its_own_snapshot(tmp_path):
    run(tmp_path / "run", make_strategy(steps=2, isolate=True))
    with RunStore.open(tmp_path / "run") as store:
        ids = [{store.snapshots(n, task.key).pop() for task in TASKS} for n in range(3)]
        found = adaptation(store)
    assert [len(one) for one in ids] == [1, 2, 2]
    assert found is not None and len(found.steps) == 6 and "4 updates over 3 rounds" in found.in_words


def test_a_run_begins_from_the_weights_of_another_and_drifts_from_there(tmp_path):
    run(tmp_path / "first", make_strategy(steps=2, rate=0.1))
    start = StartWeights(learned_directory(tmp_path / "first", 1) / "trainer", LoraConfig(rank=4, alpha=8))
    run(tmp_path / "second", make_strategy(steps=1, kl_limit=9.0, start=start))
    with RunStore.open(tmp_path / "first") as first, RunStore.open(tmp_path / "second") as second:
        assert second.snapshots(0) == first.snapshots(2) != second.snapshots(1)
        drawn = second.attempts(round=1)
    note = read_note(learned_directory(tmp_path / "second", 0))
    assert note.drift == 0.0 and len(drawn) == 16
    check_every_stop(tmp_path / "again", lambda: make_strategy(steps=1, kl_limit=9.0, start=start), stride=5)


# -- whole runs on the bandit -----------------------------------------------------------------------------------


def test_s_steps_make_s_updates_and_s_plus_one_measured_rounds_with_their_rewards(tmp_path):
    run(tmp_path / "run", make_strategy(steps=3))
    with RunStore.open(tmp_path / "run") as store:
        attempts = store.attempts()
        assert store.is_complete() and store.finished_rounds() == 4 and store.ledger.total.updates == 3
        assert {a.sample.round for a in attempts} == {0, 1, 2, 3} and len(attempts) == 4 * 2 * 8
        for one in attempts:
            assert one.reward == (one.evaluation.speedup.ratio if one.evaluation.speedup else 0.0)
        assert len({a.sample.snapshot_id for a in attempts}) == 4
        assert store.evaluations(Purpose.SELECTED)


def test_training_makes_fast_programs_likely_and_shuffled_rewards_do_not(tmp_path):
    """Shuffled, the weights wander without direction: over runs the fast programs gain nothing to speak of."""

    def fast_share(name: str, seed: int, shuffled: bool) -> float:
        policy = BanditPolicy()
        reward = RewardConfig(type="log_lower", shuffled=shuffled)
        strategy = make_strategy(steps=12, samples=16, seed=seed, rate=0.1, reward=reward)
        run(tmp_path / f"{name}{seed}", strategy, policy, seed=seed, chunk=16)
        return float(np.exp(log_softmax(policy.trainers[0].logits))[[BEST, FASTER]].sum())

    start = 2 / len(BODIES)
    learned = [fast_share("learned", seed, shuffled=False) for seed in range(3)]
    shuffled = [fast_share("shuffled", seed, shuffled=True) for seed in range(8)]
    assert min(learned) > start + 0.4
    assert abs(np.mean(shuffled) - start) < 0.15


def test_an_update_that_is_not_finite_ends_the_training_and_keeps_what_was_measured(tmp_path):
    run(tmp_path / "run", make_strategy(steps=4), BanditPolicy(breaks_at=1))
    with RunStore.open(tmp_path / "run") as store:
        assert store.is_complete() and store.finished_rounds() == 2
        found = adaptation(store)
    assert found is not None and [note.is_stopped for note in found.steps] == [False, True]
    assert "ended after round 1: loss nan" in found.in_words


def test_a_drift_above_the_limit_ends_the_training(tmp_path):
    run(tmp_path / "run", make_strategy(steps=6, rate=0.5, kl_limit=0.2))
    with RunStore.open(tmp_path / "run") as store:
        rounds, spent = store.finished_rounds(), store.ledger.total
        assert store.is_complete() and rounds < 7
    notes = [read_note(learned_directory(tmp_path / "run", n)) for n in range(rounds)]
    drifts = [note.drift for note in notes if note is not None and note.drift is not None]
    assert len(drifts) == rounds and drifts[0] == 0.0 and drifts[-1] > 0.2 and max(drifts[:-1]) <= 0.2
    last = notes[-1]
    assert last is not None and last.is_stopped and "drift" in last.why_not
    assert spent.teacher_tokens == 16 * (rounds - 1)  # one token each; the first round is the unadapted model itself


def test_the_drift_is_the_mean_log_ratio_of_the_sampled_tokens(tmp_path):
    run(tmp_path / "run", make_strategy(steps=1, kl_limit=9.0))
    with RunStore.open(tmp_path / "run") as store:
        drawn = [a.sample.completion.logprobs[0] for a in store.attempts(round=1)]
    note = read_note(learned_directory(tmp_path / "run", 1))
    assert note is not None and note.drift == pytest.approx(np.mean(drawn) + np.log(len(BODIES)), abs=1e-5)


def test_the_table_has_a_row_for_each_round_and_says_what_each_rule_keeps(tmp_path):
    run(tmp_path / "run", make_strategy(steps=4, samples=16, rate=0.1))
    with RunStore.open(tmp_path / "run") as store:
        found = adaptation(store)
    assert found is not None and found.rounds is not None
    rows, choices = found.rounds.rows, {c.rule: c for c in found.rounds.choices["verified"]}
    assert [row.round for row in rows] == [0, 1, 2, 3, 4]
    best = max(row.fast_1_verified for row in rows)
    earliest = next(row.round for row in rows if row.fast_1_verified == pytest.approx(best))
    assert choices["boa"].step == earliest and choices["boa"].in_batch == pytest.approx(best)
    assert choices["boa"].split is not None and choices["fixed-4"].step == 4
    assert f"best-of-adaptation keeps round {earliest}" in found.in_words and "early stop" in found.in_words


def test_where_nothing_differs_the_earliest_round_is_kept_and_the_words_say_why(tmp_path):
    run(tmp_path / "run", make_strategy(steps=2, reward=RewardConfig(type="sparse", threshold=9.0)))
    with RunStore.open(tmp_path / "run") as store:
        found = adaptation(store)
    assert found is not None
    assert "0 updates over 3 rounds" in found.in_words and "luck alone" in found.in_words
    assert [note.is_updated for note in found.steps] == [False] * 3


# -- going on after an interruption -----------------------------------------------------------------------------

NORMALIZED = {"steps": 3, "reward": RewardConfig(type="normalized", shuffled=True), "kl_limit": 5.0}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole") / "run"
    run(directory, make_strategy(**NORMALIZED))
    return records(directory)


@pytest.mark.parametrize("stop_after", [2, 9, 17, 24, 33, 40])
def test_a_cancelled_run_that_is_resumed_gives_the_records_of_an_uninterrupted_one(tmp_path, whole, stop_after):
    evaluator = FakeEvaluator(pause_s=1e-4)
    stopped_run(tmp_path / "run", make_parts(make_strategy(**NORMALIZED), BanditPolicy(), evaluator), stop_after)
    run(tmp_path / "run", make_strategy(**NORMALIZED))
    assert records(tmp_path / "run") == whole


@pytest.mark.parametrize("changes", [{}, {"isolate": True}, {"kl_coef": 0.1, "advantage": "global"}])
def test_a_run_stopped_at_any_point_ends_with_the_same_records(tmp_path, changes):
    reward = RewardConfig(type="normalized", shuffled=True)
    stride = 3 if changes else 1
    check_every_stop(
        tmp_path, lambda: make_strategy(steps=2, samples=4, reward=reward, kl_limit=5.0, **changes), stride=stride
    )


@pytest.mark.parametrize("broken", [0, 1, 3])
def test_a_process_that_ends_between_an_update_and_its_mark_learns_the_same_again(tmp_path, whole, monkeypatch, broken):
    finish = RunStore.finish_round

    def fail(store, round, *rest):
        if round == broken:
            raise StoreError("the disk is full")
        finish(store, round, *rest)

    with monkeypatch.context() as patched, pytest.raises(StoreError):
        patched.setattr(RunStore, "finish_round", fail)
        run(tmp_path / "run", make_strategy(**NORMALIZED))
    run(tmp_path / "run", make_strategy(**NORMALIZED))
    assert records(tmp_path / "run") == whole


KILLED = """
import sys
from pathlib import Path
from fakes import FakeEvaluator
from test_test_time_training import NORMALIZED, make_strategy, run
def show(event):
    print(type(event).__name__, flush=True)
run(Path(sys.argv[1]), make_strategy(**NORMALIZED), observe=show, evaluator=FakeEvaluator(pause_s=0.003))
"""


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_run_that_is_resumed_gives_the_records_of_an_uninterrupted_one(tmp_path, whole, seed):
    kill_twice(KILLED, [tmp_path / "run"], Path(__file__).parent, random.Random(seed), (1, 20), 0.01)
    run(tmp_path / "run", make_strategy(**NORMALIZED))
    assert records(tmp_path / "run") == whole


def test_the_optimizers_state_matters_here_so_losing_it_would_show(tmp_path, whole):
    files = whole[-1]
    saved = json.loads(files["adapters/round-1/trainer/bandit.json"])
    assert MOMENTUM > 0 and any(saved["velocity"])


def test_a_step_note_that_cannot_be_read_is_a_usage_error(tmp_path):
    (tmp_path / "step.json").write_text("{}")
    with pytest.raises(UsageError, match=r"step\.json cannot be read"):
        read_note(tmp_path)


# -- a tiny model with low-rank adapters and Adam ---------------------------------------------------------------


def tiny_extract(text: str, task, prompt) -> Candidate:
    """A program for every text, so that a model with random weights has rewards that differ."""
    programs = BODIES[1:]
    return Candidate(source=programs[sum(text.encode()) % len(programs)])


def tiny_prompt(task):
    return fakes.render(task).model_copy(update={"text": f"def f{task.id}(x):\n    return"})


def run_tiny(directory: Path, folder: Path, stop_after: int | None = None) -> None:
    from assay.policies.local import load_local

    strategy = make_strategy(steps=2, samples=4, rate=0.02, prompt=tiny_prompt, kl_limit=50.0)
    changes = {"extract": tiny_extract, "prompt": tiny_prompt, "chunk": 2}
    policy = load_local(f"local:{folder}", threads=1)
    if stop_after is None:
        run(directory, strategy, policy, **changes)
    else:
        stopped_run(directory, make_parts(strategy, policy, FakeEvaluator(pause_s=1e-4), **changes), stop_after)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(Path(__file__).parents[1] / "conformance"))
        tiny_models = importlib.import_module("tiny_models")
    return tiny_models.save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.fixture(scope="module")
def whole_tiny(tiny_folder, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole_tiny") / "run"
    run_tiny(directory, tiny_folder)
    return records(directory)


def test_a_real_model_is_updated_in_every_step(whole_tiny):
    attempts, _, spent, rounds, is_complete, files = whole_tiny
    assert is_complete and rounds == 3 and spent.updates == 2
    assert len({a.sample.snapshot_id for a in attempts}) == 3
    assert {"adapters/round-0/trainer/optimizer.safetensors", "adapters/round-1/trainer/adapter.safetensors"} <= set(
        files
    )
    notes = [json.loads(files[f"adapters/round-{n}/step.json"])["notes"][0] for n in range(3)]
    assert notes[0]["drift"] == 0.0 and notes[1]["drift"] != 0.0
    assert abs(notes[0]["sampler_gap"]) < 1e-3 and notes[0]["grad_norm"] > 0


@pytest.mark.parametrize("stop_after", [4, 11, 18])
def test_a_real_model_goes_on_with_the_same_optimizer_state(tmp_path, tiny_folder, whole_tiny, stop_after):
    run_tiny(tmp_path / "run", tiny_folder, stop_after)
    run_tiny(tmp_path / "run", tiny_folder)
    assert records(tmp_path / "run") == whole_tiny
