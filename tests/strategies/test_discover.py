"""Extended adaptation: where rounds begin, what is learned from, and going on after a stop."""

import asyncio
from typing import Any

import numpy as np
import pytest
from bandit import BanditPolicy
from fakes import make_task, render
from training_runs import check_every_stop, make_settings, run

from assay.core.errors import UsageError
from assay.learning.advantages import advantages
from assay.report.adaptation import adaptation
from assay.runs.runner import learned_directory
from assay.runs.store import RunStore
from assay.strategies.discover import STATES_FILE, Discovery, Expansions, Reuse, prompt_from
from assay.strategies.objective import PolicyGradient
from assay.strategies.state_buffer import ROOT

TASKS = [make_task("1"), make_task("2")]


def discovery(steps=3, samples=8, groups=2, is_isolated=False, **changes: Any) -> Discovery:
    chosen: dict[str, Any] = {"kl_coef": 0.1} | changes
    settings = make_settings(steps=steps, **chosen)
    return Discovery(TASKS, samples, render, settings, PolicyGradient(settings, "entropic"), Reuse(groups), is_isolated)


def left_by(directory, index: int) -> Expansions:
    """The states that a round left."""
    return Expansions.model_validate_json((learned_directory(directory, index) / STATES_FILE).read_text())


def test_the_first_round_asks_for_the_task_and_later_ones_show_the_states_that_were_picked(tmp_path):
    run(tmp_path / "run", discovery())
    with RunStore.open(tmp_path / "run") as store:
        attempts = store.attempts()
        prompts = {one.sample.prompt_hash: store.prompt(one.sample.prompt_hash) for one in attempts}
    assert len(attempts) == 2 * 8 * 4
    for one in attempts:
        task = next(task for task in TASKS if task.key == one.sample.task_key)
        asked = prompts[one.sample.prompt_hash]
        if one.sample.round == 0:
            assert asked == render(task)
            continue
        left = left_by(tmp_path / "run", one.sample.round - 1)
        state = left.next[task.key][one.sample.index // 4]
        assert asked == (prompt_from(render(task), state) or render(task))
        if state.source is not None and state.evaluation is not None and state.evaluation.speedup is not None:
            assert state.source in asked.text.replace("\n#     ", "\n").replace("#     ", "")
            assert f"Speedup: {state.evaluation.speedup.ratio:.2f}x" in asked.text


def test_the_picks_of_a_round_are_those_of_its_buffer(tmp_path):
    run(tmp_path / "run", discovery())
    for index in range(4):
        left = left_by(tmp_path / "run", index)
        assert left.round == index
        for task in TASKS:
            buffer = left.buffers[task.key]
            assert left.next[task.key] == buffer.picks(2, 1.0)
            assert buffer.states[0].id == ROOT and buffer.expansions == buffer.states[0].expansions
            assert len(buffer.states) > 1


def test_rewards_are_compared_within_the_continuations_of_one_state():
    rewards_PG = np.array([[0.0, 0.0, 1.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    found = advantages("entropic", rewards_PG)
    assert found[0].any() and not found[1].any()


def test_updates_are_made_between_rounds_and_shown_as_an_adaptation(tmp_path):
    policy = BanditPolicy()
    run(tmp_path / "run", discovery(), policy)
    with RunStore.open(tmp_path / "run") as store:
        found = adaptation(store)
        assert store.ledger.total.updates == 3 and store.ledger.total.teacher_tokens > 0
    assert found is not None and [note.is_updated for note in found.steps] == [True, True, True, False]
    assert found.steps[0].groups == 4 and found.rounds is not None


def test_isolated_tasks_have_weights_of_their_own(tmp_path):
    policy = BanditPolicy()
    run(tmp_path / "run", discovery(steps=1, is_isolated=True), policy)
    assert len(policy.trainers) == 2
    assert not np.array_equal(policy.trainers[0].logits, policy.trainers[1].logits)


@pytest.mark.parametrize("is_isolated", [False, True])
def test_a_stopped_run_goes_on_to_the_same_records(tmp_path, is_isolated):
    check_every_stop(tmp_path, lambda: discovery(steps=2, is_isolated=is_isolated), stride=5)


def test_lost_states_are_a_usage_error_that_names_them(tmp_path):
    run(tmp_path / "run", discovery(steps=1))
    state = learned_directory(tmp_path / "run", 0)
    (state / "states.json").unlink()
    with pytest.raises(UsageError, match=r"states\.json cannot be read"):
        asyncio.run(discovery(steps=1).open(BanditPolicy(), state))


def test_samples_that_make_no_even_groups_are_refused():
    with pytest.raises(ValueError, match="groups of one size"):
        discovery(samples=9)
