import json

import pytest
from page_runs import adapted, best_of_n

from assay.cli import report as command
from assay.cli.report import write_runs_page


@pytest.fixture
def run(tmp_path):
    return best_of_n(tmp_path / "run")


def test_without_options_the_tables_are_printed_and_where_the_page_is_to_be_had(cli, run):
    code, out, _ = cli("report", run)
    assert code == 0 and "By task (fake)" in out and "On 1 of 2 tasks" in out
    assert f"assay report {run} --html report.html" in out


def test_json_has_the_tables_the_facts_and_the_analysis(cli, run, tmp_path):
    code, out, _ = cli("report", run, adapted(tmp_path / "adapted"), "--json")
    document = json.loads(out)
    assert code == 0 and [one["name"] for one in document["runs"]] == ["run", "adapted"]
    funnel = {one["stage"]: one["samples"] for one in document["runs"][0]["facts"]["funnel"]}
    assert funnel == {"sampled": 12, "parsed": 10, "built": 9, "ran": 9, "correct": 7, "verified faster": 3}
    assert document["analysis"]["scaling"]["samples_per_task"] == 6 and document["html"] is None


def test_page_and_figures_are_written_where_they_are_asked_for(cli, run, tmp_path):
    pytest.importorskip("altair")
    page, figures = tmp_path / "new" / "report.html", tmp_path / "figures"
    code, out, _ = cli("report", run, "--html", page, "--figures", figures)
    assert code == 0 and str(page) in out and "captions.txt" in out
    assert page.stat().st_size > 500_000 and (figures / "scaling.pdf").exists()
    assert not list(page.parent.glob("*.part"))


def test_without_the_packages_the_message_names_them_and_the_tables_still_work(cli, run, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    code, _, err = cli("report", run, "--html", tmp_path / "report.html")
    assert code == 2 and "assay-lab[report]" in err and "altair" in err
    assert cli("report", run)[0] == 0
    assert write_runs_page([run], run / "report.html") is None


def test_a_page_in_the_place_of_a_directory_is_refused(cli, run, tmp_path):
    pytest.importorskip("altair")
    code, _, err = cli("report", run, "--html", tmp_path)
    assert code == 2 and "is a directory" in err
    code, _, err = cli("report", run, "--figures", run / "config.json")
    assert code == 2 and "is a file" in err


def test_a_place_without_a_run_is_refused(cli, tmp_path):
    assert cli("report", tmp_path / "none")[0] == 2
    assert cli("report")[0] == 2


def test_the_page_of_a_run_lies_in_its_directory(run):
    pytest.importorskip("altair")
    assert write_runs_page([run], run / "report.html") == run / "report.html"


def test_the_demo_leaves_a_page_of_its_two_runs_compared(cli, tiny, tmp_path):
    pytest.importorskip("altair")
    code, _, err = cli("demo", "--model", tiny, "-k", "2", "--out", tmp_path / "run")
    assert (
        code == 0
        and f"A page with charts, code and timings, the two runs compared: {tmp_path / 'run' / 'report.html'}" in err
    )
    page = (tmp_path / "run" / "report.html").read_text()
    assert len(page) > 500_000 and 'id="comparison"' in page and 'id="adaptation"' in page
