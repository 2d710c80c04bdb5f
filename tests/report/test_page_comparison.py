import pytest
from stored_runs import BEST_OF_N, FAST, SAME, WRONG, store_run

from assay.report.page_comparison import comparison_sections
from assay.report.page_model import read_report

LOSES, WINS = [[SAME, SAME, WRONG, ""]], [[FAST, SAME, WRONG, ""]]


def test_two_runs_are_compared_by_task_in_the_report(tmp_path):
    a = store_run(tmp_path / "a", {"1": LOSES, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": LOSES})
    (section,) = comparison_sections(read_report([a, b]))
    titles = [table.title for table in (*section.tables, *section.folded)]
    assert "b against a, paired by task" in titles and "Spent on the shared tasks" in titles
    assert "b alone succeeds on 1 and a alone on 0" in section.texts[0]
    widths = {(table.title, len(row.cells) == len(table.columns)) for table in section.tables for row in table.rows}
    assert all(is_whole for _, is_whole in widths)


def test_different_budgets_are_cut_to_the_smallest_and_said_so(tmp_path):
    a = store_run(tmp_path / "a", {"1": LOSES, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": [[FAST, SAME]], "2": [[SAME, SAME]]})
    (section,) = comparison_sections(read_report([a, b]))
    assert any("a is cut to 2 samples a task" in text for text in section.texts)


def test_runs_that_cannot_be_compared_say_why_and_one_run_has_no_section(tmp_path):
    a = store_run(tmp_path / "a", {"1": WINS})
    b = store_run(tmp_path / "b", {"1": WINS}, {**BEST_OF_N, "evaluator": {"rule": "kernelbench-fast"}})
    (section,) = comparison_sections(read_report([a, b]))
    assert "not compared" in section.texts[0] and "rules of evaluation differ" in section.texts[0]
    assert comparison_sections(read_report([a])) == ()


def test_the_page_has_the_section_and_a_link_to_it(tmp_path):
    pytest.importorskip("vl_convert")
    from assay.report.page import write_page

    a = store_run(tmp_path / "a", {"1": WINS, "2": LOSES})
    b = store_run(tmp_path / "b", {"1": WINS, "2": WINS})
    write_page(read_report([a, b]), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert 'id="comparison"' in page and 'href="#comparison"' in page and "paired by task" in page
