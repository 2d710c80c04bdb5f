import asyncio
import json

import fakes as stand_ins
import pytest

from assay.core.ledger import Spend
from assay.core.records import SamplingParams
from assay.runs.runner import Parts, execute
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.strategies.best_of_n import BestOfN
from assay.strategies.protocol import Lesson, RoundPlan

RUN = ("run", "best-of-n", "--tasks", "plain_gelu,cumsum_loop", "-k", "8", "--device", "cpu")
SECTIONS = {
    *("runs", "is_null", "noise", "scaling", "evaluated_first", "others", "selectors", "length", "quartiles"),
    *("spread", "rounds", "regime", "transfer", "compute", "published", "warnings", "probes"),
}


@pytest.fixture
def stored(cli, fakes, tmp_path):
    cli(*RUN, "--out", tmp_path / "run", "--null-evaluations", "3")
    return tmp_path / "run"


def test_json_is_exactly_one_document_with_every_section(cli, stored):
    code, out, err = cli("analyze", stored, "--json", "--null", "--against", "published")
    document = json.loads(out)
    assert code == 0 and err == ""
    assert set(document) == SECTIONS
    assert document["is_null"] and document["noise"][0]["measurements"] == 6
    assert document["published"]["rows"] and "203x" in document["published"]["caveat"]


def test_the_page_shows_each_table_with_its_sentence(cli, stored):
    code, out, err = cli("analyze", stored)
    assert code == 0 and err == "" and "\x1b" not in out
    for title in ("Best of K", "selected@K", "first m samples", "Selectors", "Length control", "quartile", "Compute"):
        assert title in out
    assert "tasks would bring the verified share to within 10 points" in out
    assert "noise alone" not in out and "published figures" not in out


def test_selectors_are_those_that_are_named_in_their_order(cli, stored):
    document = json.loads(cli("analyze", stored, "--by", "surprisal-top-2,random-correct", "--json")[1])
    assert [row["selector"] for row in document["selectors"]["rows"]] == ["surprisal-top-2", "random-correct"]
    code, out, err = cli("analyze", stored, "--by", "surprisl")
    assert (code, out) == (2, "") and "Did you mean" in err


def test_the_null_shows_what_copies_would_have_scored(cli, stored):
    code, out, _ = cli("analyze", stored, "--null")
    assert code == 0
    assert "A/A pools" in out and "Of 6 measurements of identical copies (3 a task)" in out


def test_further_runs_stand_on_the_first_ones_curve(cli, fakes, stored, tmp_path):
    cli(*RUN, "--out", tmp_path / "other", "--seed", "3")
    code, out, _ = cli("analyze", stored, tmp_path / "other")
    assert code == 0
    assert "Other runs on the first run's curve" in out and f"Where {tmp_path / 'other'} pays" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((), "at least one run"), (("nowhere",), "no run in nowhere"), (("run", "--against", "x"), "against")],
)
def test_a_users_mistake_is_exit_code_two(cli, arguments, message):
    code, out, err = cli("analyze", *arguments)
    assert code == 2 and out == "" and message in err


def test_a_null_without_copies_says_what_to_do(cli, fakes, tmp_path):
    cli(*RUN, "--out", tmp_path / "run", "--set", "controls=false")
    code, _, err = cli("analyze", tmp_path / "run", "--null")
    assert code == 2 and "--null-evaluations 8" in err


def test_a_live_shortlist_evaluates_only_the_first_few(cli, fakes, tmp_path):
    code, out, _ = cli(*RUN, "--evaluate", "top-2", "--rank", "confidence", "--out", tmp_path / "run")
    assert code == 0 and "only the first 2 of each task by confidence" in out
    with RunStore.open(tmp_path / "run") as store:
        assert len(store.evaluations(Purpose.SEARCH)) <= 4
        assert store.ledger.total.rollouts == 16
    code, out, _ = cli("analyze", tmp_path / "run")
    assert code == 0 and "no random ones" in out and "Best of K" not in out
    assert cli("select", tmp_path / "run", "--json")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--evaluate", "5"), "write top-M"),
        (("--evaluate", "top-9"), "top is at most k"),
        (("--rank", "random"), "strategy.shortlist.top"),
        (("--evaluate", "top-0"), "greater than or equal to 1"),
        (("--null-evaluations", "0"), "null_evaluations"),
    ],
)
def test_wrong_shortlists_and_null_evaluations_are_refused_before_anything_runs(cli, tmp_path, options, message):
    code, _, err = cli(*RUN, *options, "--out", tmp_path / "run")
    assert code == 2 and message in err and not (tmp_path / "run").exists()


def test_a_dry_run_counts_the_shortlist_and_the_copies(cli):
    code, out, _ = cli(*RUN, "--evaluate", "top-2", "--null-evaluations", "4", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert (plan["samples"], plan["evaluations"], plan["controls"], plan["remeasurements"]) == (16, 4, 8, 4)


def test_analyze_explains_itself(cli):
    code, out, _ = cli("analyze", "--help")
    assert code == 0 and "--null" in out and "--json" in out and "--against" in out


class ThreeRounds(BestOfN):
    """Samples the same model three times over, and counts an update after each."""

    learns = True

    def __init__(self, tasks, samples):
        super().__init__(tasks, samples)
        self._tasks, self._samples = tuple(tasks), samples

    def plan(self, index):
        return RoundPlan.even(index, self._tasks, self._samples) if index < 3 else None

    async def learn(self, plan, attempts, directory):
        return Lesson(Spend(updates=1, teacher_tokens=10))


def test_a_run_of_several_rounds_shows_its_trajectory_and_where_it_pays(cli, tmp_path):
    tasks = [stand_ins.make_task(str(n)) for n in range(3)]
    for name, strategy in (("base", BestOfN(tasks, 6)), ("adapted", ThreeRounds(tasks, 6))):
        parts = Parts(
            policy=stand_ins.FakePolicy(),
            evaluator=stand_ins.FakeEvaluator(),
            strategy=strategy,
            prompt=stand_ins.render,
            extract=stand_ins.extract,
            control=stand_ins.control,
            sampling=SamplingParams(),
            seed=0,
            chunk=8,
            remeasure=1,
        )
        with RunStore.create(tmp_path / name, {}, tasks) as store:
            asyncio.run(execute(store, parts))
    code, out, _ = cli("analyze", tmp_path / "base", tmp_path / "adapted", "--null", "--against", "published")
    assert code == 0
    code, out, _ = cli("analyze", tmp_path / "base", tmp_path / "adapted")
    assert code == 0
    assert f"Rounds of {tmp_path / 'adapted'}" in out and "Which round to keep" in out and "per-task-oracle" in out
    assert "Best-of-adaptation keeps round" in out and "of 3 rounds" in out
    document = json.loads(cli("analyze", tmp_path / "base", tmp_path / "adapted", "--json")[1])
    assert [row["round"] for row in document["rounds"][0]["rows"]] == [0, 1, 2]
    assert document["compute"]["runs"][1]["teacher_share"] > 0
    metrics = {row["metric"] for row in document["others"]["rows"]}
    assert "one sample of round 2" in metrics and "any of its samples" in metrics
