import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from page_runs import HOSTILE, adapted, best_of_n, hostile, make_run

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.core.records import Status, Verdict
from assay.report.page_model import read_report
from assay.runs.probe import PROBE_FOLDER, ProbeStep, read_pool

pytest.importorskip("altair")
pytest.importorskip("jinja2")
pytest.importorskip("vl_convert")

from assay.report import page as page_module
from assay.report.adaptation import Adaptation
from assay.report.charts import report_charts, teacher_mode
from assay.report.page import as_json, plain, prose, write_page
from assay.report.page_sections import sections
from assay.report.tables import Measured
from assay.report.words import copies_in_words
from assay.strategies.notes import StepNote

COUNTS = {"groups": 2, "constant": 2, "items": 0, "why_not": "", "is_stopped": False, "mean_reward": 0.0}
NOTHING_LEARNED: dict[str, Any] = COUNTS | dict.fromkeys(("drift", "loss", "grad_norm", "sampler_gap"))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The text of a page of two runs."""
    place = tmp_path_factory.mktemp("page")
    runs = [best_of_n(place / "search"), adapted(place / "adapted")]
    write_page(read_report(runs), place / "page.html")
    return (place / "page.html").read_text(encoding="utf-8")


def data_of(text):
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


class Addresses(HTMLParser):
    """Everything in a page that names an address or runs something."""

    def __init__(self):
        super().__init__()
        self.found, self.tags, self.events = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "action", "data") and value]
        self.events += [name for name, _ in attrs if name.startswith("on") or name == "style"]


def test_the_page_asks_nothing_of_any_network(written):
    parser = Addresses()
    parser.feed(written)
    assert parser.found and all(address.startswith("#") for address in parser.found)
    assert not parser.events and not {"link", "iframe", "object", "embed", "img", "base"} & set(parser.tags)
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', written)[0]
    assert "default-src &#39;none&#39;" in policy and "unsafe" not in policy and "http" not in policy


def test_every_section_of_two_runs_is_there(written):
    ids = set(re.findall(r'<section id="([a-z]+)"', written))
    assert ids >= {"top", "results", "run", "funnel", "scaling", "selectors", "surprisal", "adaptation", "trust"}
    assert ids >= {"regime", "sharpening", "ledger"} and "feedback" not in ids
    assert "1 of 2 tasks" in written


def test_each_chart_in_the_page_has_its_data(written):
    charts = data_of(written)["charts"]
    named = set(re.findall(r'data-chart="([a-z-]+)"', written))
    assert named == set(charts) and len(named) > 12
    for chart in charts.values():
        assert chart["rows"] and all(len(row) == len(chart["columns"]) for row in chart["rows"])


def test_rounds_say_whether_weights_were_updated_after_them(tmp_path):
    report = read_report([adapted(tmp_path / "run")])
    (found,) = [one for one in sections(report, {}) if one.id == "adaptation"]
    assert found.tables[0].columns[:2] == ("round", "updated after it")
    assert [row.cells[:2] for row in found.tables[0].rows] == [("0", "-"), ("1", "-"), ("2", "-")]
    notes = tuple(StepNote(round=n, role="search", is_updated=n == 1, **NOTHING_LEARNED) for n in range(3))
    known = report.runs[0].tables.model_copy(update={"adaptation": Adaptation(steps=notes, rounds=None, in_words="")})
    report = replace(report, runs=(replace(report.runs[0], tables=known),))
    (found,) = [one for one in sections(report, {}) if one.id == "adaptation"]
    assert [row.cells[1] for row in found.tables[0].rows] == ["no", "yes", "no"]


def copy(ratio, verdict=Verdict.UNDECIDED):
    fields = {"candidate_hash": None, "status": Status.CORRECT, "verdict": verdict, "low": 0.9, "high": 1.1, "raw": 1.0}
    return Measured(ratio=ratio, **fields)


def test_identical_copies_are_counted_by_verdict_with_their_range():
    assert copies_in_words([]) == "-"
    assert copies_in_words([copy(1.004)]) == "undecided 1.00x"
    assert (
        copies_in_words([copy(0.98), copy(1.02), copy(1.2, Verdict.FASTER)]) == "2 undecided, 1 faster 0.98x to 1.20x"
    )


def test_a_run_without_any_sample_gives_a_page_that_says_so(tmp_path):
    run = make_run(tmp_path / "run", [{"a": []}], is_complete=False, controls=0)
    write_page(read_report([run]), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Nothing was sampled" in text and "is not complete" in text and 'id="scaling"' not in text


def test_sections_on_feedback_appear_with_runs_of_self_distillation(tmp_path):
    runs = [
        adapted(tmp_path / f"{teacher}-{seed}", seed, {"type": "sdpo", "teacher": teacher})
        for teacher in ("prompt-only", "feedback")
        for seed in (1, 2)
    ]
    (chart,) = report_charts(read_report(runs))["feedback"]
    assert [row[1:3] for row in chart.rows] == [
        ("prompt-only", 1),
        ("prompt-only", 2),
        ("feedback", 1),
        ("feedback", 2),
    ]
    assert teacher_mode({"strategy": {"type": "ttt", "teacher": "feedback"}}) is None


def test_the_star_stands_on_the_round_that_best_of_adaptation_keeps(tmp_path):
    charts = {one.id: one for one in report_charts(read_report([adapted(tmp_path / "run")]))["adaptation"]}
    rounds = [(row[2], row[3], row[8]) for row in charts["trajectory"].rows]
    assert rounds == [(0, 0.125, False), (1, 0.5, True), (2, 0.125, False)]


def test_a_run_that_is_named_twice_is_refused(tmp_path):
    run = best_of_n(tmp_path / "run")
    with pytest.raises(UsageError, match="twice"):
        read_report([run, tmp_path / "." / "run"])
    with pytest.raises(UsageError, match="at least one"):
        read_report([])


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    report = read_report([best_of_n(tmp_path / "a" / "run"), adapted(tmp_path / "b" / "run")])
    assert [run.name for run in report.runs] == ["a/run", "b/run"]


# -- hostile text -----------------------------------------------------------------------------------------------


def test_hostile_text_stays_text(tmp_path):
    write_page(read_report([hostile(tmp_path / "run")]), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    parser = Addresses()
    parser.feed(text)
    assert parser.tags.count("script") == 3 and "img" not in parser.tags and not parser.events
    assert all(address.startswith("#") for address in parser.found)
    task = data_of(text)["runs"][0]["tasks"][0]
    kept = {one["text"] for one in task["texts"] if one}
    assert kept >= set(HOSTILE.values())
    assert max(map(len, kept)) < 30_000  # the line of a megabyte is cut, and says so
    assert any("980,000 more characters" in one for one in kept)


def test_what_reorders_or_hides_text_is_written_as_its_number():
    assert plain("a\u202eb\x00\ud800") == "a\\u202eb\\u0000\\ud800"
    assert plain("plain text, Ünïcode") == "plain text, Ünïcode"


def test_prose_makes_code_of_backticks_and_nothing_else():
    assert str(prose("a `<b>` & c")) == "a <code>&lt;b&gt;</code> &amp; c"
    assert str(prose("one ` alone <i>")) == "one ` alone &lt;i&gt;"


def test_json_of_the_page_cannot_close_its_element():
    hostile_text = "</script><!-- \ud800 \u2028 &"
    written = as_json({"a": hostile_text})
    assert written.isascii() and not set("<>&") & set(written)
    assert json.loads(written)["a"] == hostile_text


def test_a_script_that_would_close_its_element_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(page_module.vl_convert, "javascript_bundle", lambda snippet: "'</SCRIPT>'")
    with pytest.raises(ValueError, match="end tag"):
        write_page(read_report([best_of_n(tmp_path / "run")]), tmp_path / "page.html")


def test_a_refinement_shows_its_turns(tmp_path):
    run = adapted(tmp_path / "run", strategy={"type": "refine"})
    tables = {table.title: table for one in sections(read_report([run]), {}) for table in one.tables}
    assert tables["Turns of run"].rows[0].cells[:3] == ("0", "50%", "1 of 8")
    assert tables["Turns of run"].words


# -- the probe --------------------------------------------------------------------------------------------------


def test_a_stored_probe_becomes_a_chart_of_its_steps(tmp_path):
    run = adapted(tmp_path / "run")
    pool = read_pool(run).pool
    folder = run / PROBE_FOLDER / pool.key
    folder.mkdir(parents=True)
    (folder / "pool.json").write_text(pool.model_dump_json())
    for step, slope in ((0, -1.0), (1, 1.0)):
        sums = {one.id: one.n_tokens * (-3.0 + slope * one.raw) for one in pool.samples}
        stored = ProbeStep(step=step, snapshot_id=f"snapshot-{step}", sums=sums, spend=Spend(teacher_tokens=9))
        (folder / f"step-{step}.json").write_text(stored.model_dump_json())
    charts = {one.id: one for one in report_charts(read_report([run]))["sharpening"]}
    overall = [row[3] for row in charts["probe"].rows if row[2] == "all correct samples"]
    assert overall == [pytest.approx(1.0, abs=0.3), pytest.approx(-1.0, abs=0.3)]
    assert "One pool of" in charts["probe"].caption
