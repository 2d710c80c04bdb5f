"""The outer loop on the bandit: which tasks when, what is learned from, what is kept, and going on."""

import numpy as np
import pytest
from bandit import BanditPolicy, log_softmax
from fakes import BODIES, make_task, render
from hypothesis import given
from hypothesis import strategies as st
from training_runs import ARM, check_every_stop, make_settings, records, run

from assay.learning.rewards import RewardConfig
from assay.report.adaptation import adaptation
from assay.runs.runner import learned_directory
from assay.runs.store import RunStore
from assay.strategies.notes import read_notes
from assay.strategies.objective import PolicyGradient
from assay.strategies.rlvr import OuterLoop, OuterLoopTraining

TRAIN = [make_task(str(n)) for n in range(5)]
HELD_OUT = [make_task(f"e{n}") for n in range(2)]
TASKS = [*TRAIN, *HELD_OUT]


def make_strategy(
    steps=4, train=TRAIN, held_out=HELD_OUT, batch=2, samples=4, eval_every=2, checkpoint_every=2, **changes
):
    settings = make_settings(steps=steps, **{"reward": RewardConfig(type="normalized"), **changes})
    sizes = OuterLoop(batch, samples, eval_every, 3, checkpoint_every)
    return OuterLoopTraining(train, held_out, render, settings, PolicyGradient(settings, "grpo"), sizes)


def roles(strategy) -> str:
    plans = [strategy.plan(n) for n in range(40)]
    return "".join("E" if plan.role == "evaluation" else "T" for plan in plans if plan is not None)


@pytest.mark.parametrize(
    ("steps", "eval_every", "expected"), [(4, 2, "ETTETTE"), (5, 2, "ETTETTETE"), (3, 0, "TTT"), (2, 9, "ETTE")]
)
def test_evaluations_stand_before_between_and_after_the_steps(steps, eval_every, expected):
    assert roles(make_strategy(steps=steps, eval_every=eval_every)) == expected


def test_without_tasks_to_evaluate_on_there_is_no_evaluation():
    assert roles(make_strategy(held_out=[])) == "TTTT"


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 99))
def test_an_epoch_has_every_task_at_most_once_and_the_order_follows_the_seed(batch, tasks, seed):
    train = [make_task(str(n)) for n in range(tasks)]
    strategy, again = (make_strategy(train=train, batch=batch, seed=seed) for _ in range(2))
    size = min(batch, tasks)
    a_batch = [strategy.batch(step) for step in range(1, 2 * (tasks // size) + 1)]
    assert a_batch == [again.batch(step) for step in range(1, len(a_batch) + 1)]
    for epoch in (a_batch[: tasks // size], a_batch[tasks // size :]):
        keys = [task.key for one in epoch for task in one]
        assert len(keys) == len(set(keys)) == tasks // size * size


def test_other_seeds_have_other_orders():
    orders = {tuple(t.key for t in make_strategy(batch=5, seed=seed).batch(1)) for seed in range(8)}
    assert len(orders) > 3


def test_a_run_learns_from_its_batches_and_only_measures_the_evaluation_tasks(tmp_path):
    policy = BanditPolicy()
    run(tmp_path / "run", make_strategy(steps=4), policy, tasks=TASKS)
    attempts, _, spent, rounds, is_complete, _ = records(tmp_path / "run")
    assert is_complete and rounds == 7 and spent.updates == 4 and policy.trainers[0].steps == 4
    held_out = {task.key for task in HELD_OUT}
    measured = [one for one in attempts if one.sample.round in (0, 3, 6)]
    assert len(measured) == 3 * 2 * 3 and {one.sample.task_key for one in measured} == held_out
    assert all(one.reward is None for one in measured)
    learned = [one for one in attempts if one.sample.round not in (0, 3, 6)]
    assert all(one.reward is not None and one.sample.task_key not in held_out for one in learned)
    notes = [read_notes(learned_directory(tmp_path / "run", n))[0] for n in range(7)]
    assert [note.role for note in notes] == ["evaluation" if n in (0, 3, 6) else "search" for n in range(7)]
    assert all(note.items == 0 and not note.is_updated for note in notes if note.role == "evaluation")
    # The samples of an evaluation come from the weights after the step before it.
    with RunStore.open(tmp_path / "run") as store:
        assert store.snapshots(4) == store.snapshots(3) != store.snapshots(0)


def test_the_weights_of_checkpoints_and_of_the_last_round_are_kept(tmp_path):
    run(tmp_path / "run", make_strategy(steps=5, checkpoint_every=2), tasks=TASKS)  # E T1 T2 E T3 T4 E T5 E
    kept = {n for n in range(9) if (learned_directory(tmp_path / "run", n) / "trainer").is_dir()}
    assert kept == {2, 5, 7, 8}
    assert all((learned_directory(tmp_path / "run", n) / "step.json").is_file() for n in range(9))


def test_a_step_moves_the_weights_by_the_groups_of_its_batch(tmp_path):
    policy = BanditPolicy()
    run(tmp_path / "run", make_strategy(steps=1, eval_every=0, rate=0.1), policy, tasks=TASKS)
    p, expected = np.exp(log_softmax(np.zeros(len(BODIES)))), np.zeros(len(BODIES))
    with RunStore.open(tmp_path / "run") as store:
        attempts = store.attempts()
    for key in {one.sample.task_key for one in attempts}:
        group = [one for one in attempts if one.sample.task_key == key]
        rewards = np.array([one.reward for one in group], float)
        if np.ptp(rewards):
            for one, advantage in zip(group, (rewards - rewards.mean()) / (rewards.std(ddof=1) + 1e-6), strict=True):
                expected += 0.1 * advantage * (np.eye(len(BODIES))[one.sample.completion.tokens[0]] - p)
    assert len(attempts) == 8 and policy.trainers[0].logits == pytest.approx(expected, abs=1e-5)


def test_training_helps_on_tasks_that_it_never_saw_and_the_page_compares_evaluations(tmp_path):
    policy = BanditPolicy()
    reward = RewardConfig(type="log_lower")
    strategy = make_strategy(steps=16, samples=16, eval_every=16, reward=reward, rate=0.1)
    run(tmp_path / "run", strategy, policy, tasks=TASKS, chunk=16)
    p = np.exp(log_softmax(policy.trainers[0].logits))
    assert p[ARM["1.6"]] + p[ARM["1.3"]] > 2 * 2 / len(BODIES)
    with RunStore.open(tmp_path / "run") as store:
        found = adaptation(store)
    assert found is not None and found.rounds is not None
    assert [row.round for row in found.rounds.rows] == [0, 17] and found.rounds.tasks == len(HELD_OUT)
    assert "updates over 18 rounds, 2 of them evaluations that nothing" in found.in_words


def test_shuffled_rewards_teach_nothing_on_average(tmp_path):
    def fast_share(seed: int) -> float:
        policy = BanditPolicy()
        reward = RewardConfig(type="log_lower", shuffled=True)
        strategy = make_strategy(steps=10, samples=16, eval_every=0, seed=seed, reward=reward, rate=0.03)
        run(tmp_path / f"run{seed}", strategy, policy, tasks=TASKS, seed=seed, chunk=16)
        p = np.exp(log_softmax(policy.trainers[0].logits))
        return float(p[ARM["1.6"]] + p[ARM["1.3"]])

    shares = np.array([fast_share(seed) for seed in range(6)])
    error = shares.std(ddof=1) / len(shares) ** 0.5
    assert abs(shares.mean() - 2 / len(BODIES)) < 3 * error + 0.02


def test_a_collapse_ends_the_run(tmp_path):
    strategy = make_strategy(steps=30, eval_every=0, samples=2, batch=1, collapse_below=1.0)
    run(tmp_path / "run", strategy, tasks=TASKS)
    with RunStore.open(tmp_path / "run") as store:
        rounds = store.finished_rounds()
        assert store.is_complete() and rounds < 30
    (last,) = read_notes(learned_directory(tmp_path / "run", rounds - 1))
    assert last.is_stopped and "the mean reward fell" in last.why_not


def test_a_run_stopped_at_any_point_ends_with_the_same_records(tmp_path):
    check_every_stop(tmp_path, lambda: make_strategy(steps=3, kl_limit=9.0), tasks=TASKS, stride=4)
