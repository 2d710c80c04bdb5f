"""Refinement: what each turn is shown, which chain goes on from which program, and going on after a stop."""

import asyncio

import pytest
from bandit import BanditPolicy
from fakes import BODIES, FakePolicy, make_task, render
from training_runs import check_every_stop, make_parts, open_store, run

from assay.prompting.feedback import Earlier, with_earlier
from assay.runs.runner import execute, learned_directory
from assay.runs.store import RunStore
from assay.strategies.refinement import Refinement, read_turn

TASKS = [make_task("1"), make_task("2")]


def refinement(chains=4, turns=3) -> Refinement:
    return Refinement(TASKS, chains, turns, render)


def attempts_in(directory):
    with RunStore.open(directory) as store:
        return store.attempts(), {
            one.sample.prompt_hash: store.prompt(one.sample.prompt_hash) for one in store.attempts()
        }


def test_every_turn_has_as_many_samples_and_the_first_is_the_task_itself(tmp_path):
    run(tmp_path / "run", refinement())
    attempts, prompts = attempts_in(tmp_path / "run")
    assert len(attempts) == 2 * 4 * 3 and {one.sample.round for one in attempts} == {0, 1, 2}
    for one in attempts:
        task = next(task for task in TASKS if task.key == one.sample.task_key)
        assert (prompts[one.sample.prompt_hash] == render(task)) == (one.sample.round == 0)


def test_a_sample_is_shown_the_program_of_its_chain_with_its_result(tmp_path):
    run(tmp_path / "run", refinement())
    attempts, prompts = attempts_in(tmp_path / "run")
    by_place = {(one.sample.round, one.sample.task_key, one.sample.index): one for one in attempts}
    for turn in (1, 2):
        left = read_turn(learned_directory(tmp_path / "run", turn - 1))
        assert left is not None
        for task in TASKS:
            parents = left.parents(task.key)
            assert sorted(parents) == [0, 1, 2, 3]
            for index, parent in enumerate(parents):
                before, after = by_place[turn - 1, task.key, parent], by_place[turn, task.key, index]
                source = before.candidate and before.candidate.source
                text = "" if source else before.sample.completion.text
                earlier = Earlier(source=source, text=text, evaluation=before.evaluation)
                assert prompts[after.sample.prompt_hash] == with_earlier(render(task), [earlier])


def test_chains_at_the_same_program_share_a_prompt_and_are_drawn_together(tmp_path):
    run(tmp_path / "run", refinement(chains=20, turns=2))
    left = read_turn(learned_directory(tmp_path / "run", 0))
    assert left is not None
    for task in TASKS:
        groups = left.next[task.key]
        assert len(groups) <= len(BODIES) < 20 and len({one.prompt.hash for one in groups}) == len(groups)


def test_one_turn_is_best_of_n(tmp_path):
    run(tmp_path / "run", refinement(turns=1))
    attempts, _ = attempts_in(tmp_path / "run")
    left = read_turn(learned_directory(tmp_path / "run", 0))
    assert len(attempts) == 8 and left is not None and left.next == {}


def test_nothing_is_learned_and_any_policy_will_do(tmp_path):
    with open_store(tmp_path / "run", TASKS) as store:
        asyncio.run(execute(store, make_parts(refinement(turns=2), FakePolicy())))
        assert store.ledger.total.updates == 0 and store.ledger.total.rollouts == 16


def test_a_stopped_run_goes_on_to_the_same_records(tmp_path):
    check_every_stop(tmp_path, lambda: refinement(chains=3, turns=3), stride=4)


def test_a_lost_state_is_a_usage_error_that_names_it(tmp_path):
    (tmp_path / "turn.json").write_text("{")
    with pytest.raises(Exception, match=r"turn\.json cannot be read"):
        asyncio.run(refinement().open(BanditPolicy(), tmp_path))
