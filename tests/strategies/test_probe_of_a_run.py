"""The probe of a run whose checkpoints are known by hand: scored once, resumed by the step, charged to itself."""

import asyncio
import json
import shutil

import numpy as np
import pytest
from bandit import BanditPolicy, log_softmax
from fakes import FakePolicy, render
from training_runs import TASKS, make_settings, run

from assay.core.errors import UsageError
from assay.report.probe import probe_table, probe_tables
from assay.runs.probe import check_probe, missing, probe, read_pool, stored_probes
from assay.runs.runner import learned_directory
from assay.runs.start import find_start, steps
from assay.runs.store import RunStore
from assay.strategies.objective import PolicyGradient
from assay.strategies.test_time_training import BatchTestTimeTraining


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("probed") / "run"
    settings = make_settings(steps=3)
    run(directory, BatchTestTimeTraining(TASKS, 8, render, settings, PolicyGradient(settings, "group_center")))
    return directory


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def probed(directory, wanted=None, observe=None, policy=None):
    scorable = read_pool(directory)
    starts = check_probe(directory, scorable.pool, wanted)
    asyncio.run(probe(directory, scorable, starts, policy or BanditPolicy(), observe))
    return stored_probes(directory)


def test_steps_are_the_model_and_what_each_update_left(trained):
    assert steps(trained) == (0, 1, 2, 3)
    assert find_start(trained).step == 3 and find_start(f"{trained}:0").directory is None
    assert find_start(f"{trained}:2").directory == learned_directory(trained, 1) / "trainer"


@pytest.mark.parametrize(
    ("text", "message"), [(":9", "steps 0, 1, 2, 3"), (":x", "RUN:STEP"), ("-not-there", "no run in")]
)
def test_a_step_that_is_not_there_is_a_usage_error(trained, text, message):
    with pytest.raises(UsageError, match=message):
        find_start(f"{trained}{text}")


def test_another_model_is_refused(trained):
    with pytest.raises(UsageError, match="fit no other model"):
        find_start(trained, "another")


def test_every_sample_has_what_the_weights_of_each_step_say_of_it(copied):
    (found,) = probed(copied)
    assert [one.step for one in found.steps] == [0, 1, 2, 3]
    pool = read_pool(copied)
    for step in found.steps:
        logits = np.zeros(7)
        if step.step:
            saved = learned_directory(copied, step.step - 1) / "trainer" / "bandit.json"
            logits = np.array(json.loads(saved.read_text())["logits"])
        expected = {
            sample.id: sum(float(log_softmax(logits)[token]) for token in tokens)
            for sample, tokens in zip(pool.pool.samples, pool.tokens, strict=True)
        }
        assert step.sums == pytest.approx(expected)


def test_only_correct_samples_are_scored_each_distinct_one_once(copied):
    (found,) = probed(copied)
    with RunStore.open(copied) as store:
        correct = [one for one in store.attempts(round=0) if one.evaluation.is_correct]
    assert {one.id for one in found.pool.samples} == {one.sample.id for one in correct}
    distinct = {(one.sample.prompt_hash, one.sample.completion.tokens) for one in correct}
    assert all(step.spend.teacher_tokens == len(distinct) for step in found.steps)
    assert found.spent.teacher_tokens == 4 * len(distinct) and found.pool.samples_in_all == 16


def test_a_probe_that_was_stopped_goes_on_at_the_step_in_hand(copied, trained, tmp_path):
    seen = []

    def observe(step, done, of):
        seen.append((step.step, done, of))
        if step.step == 1 and len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probed(copied, observe=observe)
    scorable = read_pool(copied)
    assert [one.step for one in missing(copied, scorable.pool, check_probe(copied, scorable.pool, None))] == [2, 3]
    (found,) = probed(copied, observe=observe)
    assert seen == [(0, 1, 4), (1, 2, 4), (2, 1, 2), (3, 2, 2)]
    (whole,) = probed(shutil.copytree(trained, tmp_path / "whole"))
    assert [one.sums for one in found.steps] == [one.sums for one in whole.steps]


def test_the_run_itself_is_charged_nothing(copied):
    with RunStore.open(copied) as store:
        before = store.ledger.total
    probed(copied)
    with RunStore.open(copied) as store:
        assert store.ledger.total == before


def test_a_pool_of_another_run_is_a_probe_of_its_own(copied, trained):
    probed(copied, wanted=[0, 3])
    scorable = read_pool(trained, round=1)
    asyncio.run(probe(copied, scorable, check_probe(copied, scorable.pool, [3]), BanditPolicy()))
    found = {one.pool.round: [step.step for step in one.steps] for one in stored_probes(copied)}
    assert found == {0: [0, 3], 1: [3]}


def test_the_table_follows_the_steps_and_says_how_well_the_scores_agree(copied):
    probed(copied)
    (table,) = probe_tables(copied)
    assert [row.step for row in table.rows] == [0, 1, 2, 3] and table.correct == len(read_pool(copied).pool.samples)
    assert table.agreement == pytest.approx(0.0, abs=1e-9)
    before, learned = (table.rows[step].rho["verified"] for step in (0, 3))
    assert before is not None and before.overall.rho is None  # the model finds all its arms alike
    assert learned is not None and learned.overall.rho is not None
    assert learned.overall.rho < 0  # and has learned the faster ones
    assert table == probe_table(copied, stored_probes(copied)[0])


def test_a_policy_that_cannot_score_and_a_run_without_weights_are_refused(copied, tmp_path):
    with pytest.raises(UsageError, match="cannot score"):
        probed(copied, policy=FakePolicy())
    shutil.rmtree(copied / "adapters")
    with pytest.raises(UsageError, match="no saved weights"):
        probed(copied)
