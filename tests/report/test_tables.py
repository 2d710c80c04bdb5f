import pytest
from fakes import control, judge, make_task, render

from assay.core.ledger import Spend
from assay.core.records import Candidate, Completion, ParseFailure, Sample, SamplingParams, Status, StopReason, Verdict
from assay.report.evaluation import evaluation_document
from assay.report.tables import run_tables
from assay.report.words import in_words
from assay.runs.rows import unparsed
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore
from assay.selection.selectors import build_selectors

WON, LOST, EMPTY = make_task("won"), make_task("lost"), make_task("empty")
CONFIG = {"model": "fake", "strategy": {"type": "best-of-n"}}
FAST = Candidate(source="# ratio=1.5")
SLOW = Candidate(source="# ratio=0.9")
WRONG = Candidate(source="# status=wrong_output")


def fill(store, task, outcomes, again=True, shrink=1.0):
    prompt = render(task)
    drawn = []
    for index, outcome in enumerate(outcomes):
        sample = Sample(
            id=f"0:{task.key}:{index}",
            task_key=task.key,
            round=0,
            index=index,
            snapshot_id="s",
            prompt_hash=prompt.hash,
            prompt_tokens=3,
            params=SamplingParams(),
            completion=Completion(tokens=(1,), logprobs=(-1.0 - index,), text="", stop_reason=StopReason.STOP),
        )
        drawn.append(Drawn(sample, outcome))
    store.add_samples(prompt, drawn, Spend(rollouts=len(drawn)))
    for candidate in store.unevaluated(0, task.key):
        store.add_evaluation(judge(task, candidate, 1.0), Purpose.SEARCH, Spend(evaluations=1))
    if again:
        store.add_evaluation(judge(task, FAST, shrink), Purpose.SELECTED, Spend(evaluations=1))


@pytest.fixture
def store(tmp_path):
    with RunStore.create(tmp_path / "run", CONFIG, [WON, LOST, EMPTY]) as store:
        yield store


def test_counts_are_of_samples_and_the_number_to_report_is_the_one_measured_afresh(store):
    fill(store, WON, [FAST, FAST, SLOW, WRONG, ParseFailure(reason="none")], shrink=0.8)
    line = run_tables(store).tasks[0]
    assert (line.samples, line.programs, line.distinct, line.correct) == (5, 4, 3, 3)
    assert (line.fast_raw, line.fast_verified) == (2, 2)
    assert line.picked is not None and line.picked.ratio == 1.5
    assert line.again is not None and line.again.ratio == pytest.approx(1.4)
    assert line.is_win and line.control is None


def test_a_task_without_samples_has_a_line_of_zeros(store):
    fill(store, WON, [SLOW], again=False)
    line = run_tables(store).tasks[2]
    assert (line.samples, line.correct, line.picked, line.again) == (0, 0, None, None)


def test_a_winner_that_does_not_hold_up_is_no_win_and_the_words_say_so(store):
    fill(store, WON, [FAST], shrink=0.8)
    fill(store, LOST, [FAST], shrink=0.0)
    store.complete("now")
    tables = run_tables(store)
    assert [line.is_win for line in tables.tasks] == [True, False, False]
    words = in_words(tables)
    assert "1 of 2 tasks" in words and "1.40x" in words
    assert "1 task looked faster at first and did not hold up" in words
    assert "not complete" not in words


def test_the_words_count_what_the_published_rule_would_have_claimed_and_what_copies_gave(store):
    fill(store, WON, [SLOW], again=False)
    for task in (WON, LOST):
        store.add_evaluation(judge(task, control(task), 1.0), Purpose.CONTROL, Spend(evaluations=1))
    words = in_words(run_tables(store))
    assert words.startswith("The run is not complete.")
    assert "would have called 0 of 1 correct sample fast" in words
    # the fake judge's raw ratios are 2 % too high: the identical copies look fast to a point-estimate rule
    assert "Of 2 identical copies of the references, 0 were called faster; that rule would have called 2 fast" in words


def test_a_run_without_samples_supports_nothing(store):
    tables = run_tables(store)
    assert tables.selectors == () and "Nothing was sampled" in in_words(tables)


def test_a_run_without_correct_samples_says_so(store):
    fill(store, WON, [WRONG], again=False)
    assert "No sample is correct" in in_words(run_tables(store))


def test_selectors_say_how_many_of_their_faster_picks_held_up(store):
    fill(store, WON, [FAST, SLOW], shrink=0.8)
    fill(store, LOST, [FAST, SLOW], shrink=0.0)
    lines = {line.selector: line for line in run_tables(store, build_selectors(["oracle", "surprisal"])).selectors}
    assert (lines["oracle"].measured_again, lines["oracle"].confirmed) == (2, 1)
    assert (lines["surprisal"].measured_again, lines["surprisal"].confirmed) == (0, 0)  # it picks the slow one


def test_the_document_of_an_evaluation_follows_its_status():
    fast = evaluation_document(judge(WON, FAST, 1.0))
    assert fast["status"] == Status.CORRECT and fast["verdict"] == Verdict.FASTER
    assert fast["speedup"]["ratio"] == 1.5 and fast["speedup"]["pairs"] == 20
    failed = evaluation_document(unparsed("k", "no class"))
    assert failed["status"] == "parse_error" and failed["speedup"] is None and failed["error"] == "no class"
