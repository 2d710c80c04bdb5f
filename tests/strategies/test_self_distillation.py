"""Self-distillation on the bandit, whose teacher finds an arm likelier that its context quotes."""

import asyncio
import importlib
from pathlib import Path

import numpy as np
import pytest
from bandit import HINT, BanditPolicy, hinted, log_softmax
from fakes import BODIES, FakeEvaluator, FakePolicy, render
from training_runs import (
    ARM,
    TASKS,
    WRONG,
    attempts_of,
    check_every_stop,
    make_parts,
    make_settings,
    records,
    run,
    stopped_run,
)

from assay.core.errors import UsageError
from assay.core.records import Candidate
from assay.learning.distillation import EMA_RATE
from assay.strategies.batch import Batch, Row
from assay.strategies.notes import read_notes
from assay.strategies.protocol import RoundPlan
from assay.strategies.self_distillation import Distillation, TeacherSettings
from assay.strategies.test_time_training import BatchTestTimeTraining

FAST, SLOW, PLAIN = ARM["1.6"], ARM["0.8"], ARM["1.0"]
ARMS = {"fake/1": [FAST, WRONG, WRONG, PLAIN], "fake/2": [WRONG, WRONG, SLOW, SLOW]}
START = log_softmax(np.zeros(len(BODIES)))


def make_strategy(steps=2, samples=4, rate=0.1, isolate=False, settings=None, **teacher):
    settings = settings or make_settings(steps=steps, rate=rate)
    objective = Distillation(settings, TeacherSettings(**{"told": "feedback+solution", **teacher}))
    return BatchTestTimeTraining(TASKS, samples, render, settings, objective, isolate, name="sdpo")


def learn(strategy, policy, attempts, directory: Path, round: int = 0):
    async def learned():
        if not strategy._core._learners:
            await strategy.open(policy, None)
        directory.mkdir(exist_ok=True)
        return await strategy.learn(RoundPlan.even(round, TASKS, 4), attempts, directory)

    return asyncio.run(learned())


# Which solution the teacher of each sample is shown: of another sample of its group, never its own program.
SHOWN = {"fake/1": [PLAIN, FAST, FAST, FAST], "fake/2": [SLOW, SLOW, None, None]}


def told(arm: int | None) -> np.ndarray:
    return START if arm is None else hinted(np.zeros(len(BODIES)), BODIES[arm])


def sampled_by_hand(rate: float, beta: float = 1.0, skip: int | None = None) -> np.ndarray:
    p, expected = np.exp(START), np.zeros(len(BODIES))
    for task in TASKS:
        for arm, shown in zip(ARMS[task.key], SHOWN[task.key], strict=True):
            advantage = beta * (told(shown)[arm] - START[arm]) if shown != skip else 0.0
            expected += rate * advantage * (np.eye(len(BODIES))[arm] - p)
    return expected


@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_an_update_credits_what_the_teacher_finds_likelier(tmp_path, beta):
    policy = BanditPolicy()
    lesson = learn(make_strategy(beta=beta), policy, attempts_of(ARMS), tmp_path / "0")
    assert policy.trainers[0].logits == pytest.approx(sampled_by_hand(0.1, beta))
    (note,) = read_notes(tmp_path / "0")
    gaps = [told(s)[a] - START[a] for t in TASKS for a, s in zip(ARMS[t.key], SHOWN[t.key], strict=True)]
    assert (note.items, note.solutions, note.teacher_gap) == (8, 6, pytest.approx(np.mean(gaps)))
    assert lesson.spend.teacher_tokens == 16  # one token each, by teacher and student
    assert lesson.rewards["0:fake/1:0"] == 1.6 and lesson.rewards["0:fake/1:1"] == 0.0


def test_the_reference_preset_takes_a_solution_only_from_half_the_reward_up(tmp_path):
    policy = BanditPolicy()
    settings = make_settings(rate=0.1, reward=make_settings().reward.model_copy(update={"type": "log_lower"}))
    learn(make_strategy(settings=settings, preset="reference"), policy, attempts_of(ARMS), tmp_path / "0")
    (note,) = read_notes(tmp_path / "0")
    assert note.solutions == 0 and note.items == 0 and "agrees with the student" in note.why_not


def test_the_reference_preset_leaves_out_whom_nothing_is_told():
    settings = make_settings()
    rows = tuple(Row(one, render(TASKS[0]), 0.0) for one in attempts_of(ARMS, TASKS[:1]))
    batch = Batch(0, (rows,))
    everyone = Distillation(settings, TeacherSettings("prompt-only"))._lessons(batch)
    nobody = Distillation(settings, TeacherSettings("prompt-only", preset="reference"))._lessons(batch)
    with_feedback = Distillation(settings, TeacherSettings("feedback", preset="reference"))._lessons(batch)
    assert (len(everyone), len(nobody), len(with_feedback)) == (4, 0, 4)


def test_the_teachers_context_has_the_best_other_program_and_never_the_own_one():
    settings = make_settings()
    rows = tuple(
        Row(one, render(TASKS[0]), one.evaluation.speedup.ratio if one.evaluation.speedup else 0.0)
        for one in attempts_of(ARMS)[:4]
    )
    lessons = Distillation(settings, TeacherSettings("feedback+solution"))._lessons(Batch(0, (rows,)))
    for lesson, arm, shown in zip(lessons, ARMS["fake/1"], SHOWN["fake/1"], strict=True):
        quoted = {n for n, body in enumerate(BODIES) if body in lesson.context.text}
        assert quoted == {shown} and arm not in quoted
        assert lesson.context.text.count("Correctly solve the original question.") == 1
        assert "Status:" in lesson.context.text


@pytest.mark.parametrize(("told_what", "words"), [("prompt-only", ()), ("feedback", ("Status:",))])
def test_the_modes_tell_what_they_say(told_what, words):
    rows = tuple(Row(one, render(TASKS[0]), 1.0) for one in attempts_of(ARMS)[:4])
    for lesson in Distillation(make_settings(), TeacherSettings(told_what))._lessons(Batch(0, (rows,))):
        assert not lesson.has_solution and "A correct solution" not in lesson.context.text
        assert all(word in lesson.context.text for word in words)
        assert ("Status:" in lesson.context.text) == bool(words)


def test_the_divergence_form_moves_the_distribution_towards_the_teachers(tmp_path):
    policy = BanditPolicy()
    strategy = make_strategy(alpha=0.0, topk=len(BODIES))
    lesson = learn(strategy, policy, attempts_of(ARMS), tmp_path / "0")
    expected = np.zeros(len(BODIES))
    for task in TASKS:
        for shown in SHOWN[task.key]:
            expected -= 0.1 * (np.exp(START) - np.exp(told(shown)))
    assert policy.trainers[0].logits == pytest.approx(expected, abs=1e-6)
    (note,) = read_notes(tmp_path / "0")
    assert note.is_updated and note.items == 8 and lesson.spend.teacher_tokens == 8


def test_kl_shaping_goes_on_top_of_the_teachers_advantages(tmp_path):
    """The batch is from the starting weights, so no token has drifted, and shaping adds nothing."""
    policy = BanditPolicy()
    settings = make_settings(rate=0.1, kl_coef=0.5)
    learn(make_strategy(settings=settings), policy, attempts_of(ARMS), tmp_path / "0")
    assert policy.trainers[0].logits == pytest.approx(sampled_by_hand(0.1))


@pytest.mark.parametrize("weights", ["snapshot", "initial", "ema"])
def test_the_teachers_weights_are_those_that_are_asked_for(tmp_path, weights):
    policy = BanditPolicy()
    strategy = make_strategy(steps=5, weights=weights)
    learn(strategy, policy, attempts_of(ARMS), tmp_path / "0")
    trainer = policy.trainers[0]
    after_one, first = trainer.logits.copy(), trainer.logits.copy()
    learn(strategy, policy, attempts_of(ARMS), tmp_path / "1", round=1)
    teacher = {"snapshot": after_one, "initial": np.zeros(len(BODIES)), "ema": first}[weights]
    student, p, step = log_softmax(after_one), np.exp(log_softmax(after_one)), np.zeros(len(BODIES))
    for task in TASKS:
        for arm, shown in zip(ARMS[task.key], SHOWN[task.key], strict=True):
            known = hinted(teacher, BODIES[shown]) if shown is not None else log_softmax(teacher)
            ratio = np.exp(student[arm] - START[arm])  # the samples are of the start
            step += 0.1 * ratio * (known[arm] - student[arm]) * (np.eye(len(BODIES))[arm] - p)
    assert trainer.logits == pytest.approx(after_one + 0.5 * first + step)
    if weights == "ema":
        assert trainer.mean == pytest.approx((1 - EMA_RATE) * first + EMA_RATE * trainer.logits)
    assert HINT > 0


@pytest.mark.parametrize(
    ("policy", "changes", "message"),
    [
        (FakePolicy(), {}, "cannot be trained"),
        (BanditPolicy(can_score=False), {}, "cannot score, which a teacher does"),
        (BanditPolicy(can_distill=False), {"alpha": 0.5}, "leave out --divergence"),
        (BanditPolicy(topk=5), {"alpha": 0.5, "topk": 20}, "--topk 5"),
        (BanditPolicy(can_average=False), {"weights": "ema"}, "--teacher-weights snapshot"),
    ],
)
def test_a_policy_that_lacks_what_is_needed_is_refused(tmp_path, policy, changes, message):
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "run", make_strategy(**changes), policy)


def test_distillation_makes_what_the_solutions_are_more_likely(tmp_path):
    policy = BanditPolicy()
    run(tmp_path / "run", make_strategy(steps=8, samples=8, rate=0.05), policy)
    p = np.exp(log_softmax(policy.trainers[0].logits))
    assert p[FAST] > 1.5 / len(BODIES) and p[WRONG] < 1 / len(BODIES)
    attempts, _, spent, rounds, is_complete, _ = records(tmp_path / "run")
    assert is_complete and rounds == 9 and len(attempts) == 9 * 16 and spent.teacher_tokens > 0


@pytest.mark.parametrize("changes", [{"weights": "ema"}, {"weights": "initial", "isolate": True}])
def test_a_run_stopped_at_any_point_ends_with_the_same_records(tmp_path, changes):
    check_every_stop(tmp_path, lambda: make_strategy(**changes), stride=3)


# -- a tiny model with low-rank adapters, its own scores and a real divergence ----------------------------------


def tiny_extract(text: str, task, prompt) -> Candidate:
    """A program for every text, so that a model with random weights has solutions to show."""
    programs = BODIES[1:]
    return Candidate(source=programs[sum(text.encode()) % len(programs)])


def run_tiny(directory: Path, folder: Path, stop_after: int | None = None, **teacher) -> None:
    from assay.policies.local import load_local

    strategy = make_strategy(steps=2, rate=0.02, **teacher)
    policy = load_local(f"local:{folder}", threads=1)
    changes = {"extract": tiny_extract, "chunk": 2}
    if stop_after is None:
        run(directory, strategy, policy, **changes)
    else:
        stopped_run(directory, make_parts(strategy, policy, FakeEvaluator(pause_s=1e-4), **changes), stop_after)


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(Path(__file__).parents[1] / "conformance"))
        tiny_models = importlib.import_module("tiny_models")
        patched.setattr(tiny_models, "CONTEXT", 2048)  # a teacher's context is longer than a student's prompt
        return tiny_models.save_tiny(tmp_path_factory.mktemp("tiny") / "llama", "llama")


@pytest.mark.parametrize(
    "teacher", [{"weights": "ema"}, {"alpha": 0.5, "isolate": True}, {"weights": "ema", "alpha": 1.0}]
)
def test_a_real_model_goes_on_with_its_optimizer_and_its_average(tmp_path, tiny_folder, teacher):
    run_tiny(tmp_path / "whole", tiny_folder, **teacher)
    whole = records(tmp_path / "whole")
    updates = 4 if teacher.get("isolate") else 2
    assert whole[2].updates == updates and whole[2].teacher_tokens > 500 and whole[4]
    averages = [name for name in whole[5] if name.endswith("average.safetensors")]
    assert bool(averages) == (teacher.get("weights") == "ema")
    for stop_after in (9, 17):
        run_tiny(tmp_path / str(stop_after), tiny_folder, stop_after, **teacher)
        run_tiny(tmp_path / str(stop_after), tiny_folder, **teacher)
        assert records(tmp_path / str(stop_after)) == whole
