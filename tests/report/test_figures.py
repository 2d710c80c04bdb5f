import csv
import json
import re

import pytest
from page_runs import FAST, SAME, adapted, best_of_n, make_run

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

import vl_convert

from assay.report.charts import report_charts
from assay.report.charts_base import DARK, SERIES, Chart, Column, log_axis, shared_prefix, theme
from assay.report.charts_search import MOST_POINTS, _thinned
from assay.report.figures import _in_order, write_figures
from assay.report.page_model import read_report


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    sdpo = {"type": "sdpo", "teacher": "prompt-only"}
    return read_report([best_of_n(place / "search"), adapted(place / "adapted"), adapted(place / "sdpo", 1, sdpo)])


@pytest.fixture(scope="module")
def figures(report, tmp_path_factory):
    place = tmp_path_factory.mktemp("figures")
    return write_figures(report, place), place


def test_there_is_a_figure_for_each_one_that_was_published(figures):
    names, _ = figures
    # system, strategies against samples, selectors by success and by speed, trajectory, feedback, regime, sharpening
    published = {"anatomy", "scaling", "selectors", "selectors-speedup", "trajectory", "feedback", "regime"}
    assert set(names) >= published | {"sharpening-rho", "sharpening-spread"}


def test_every_figure_has_its_formats_its_data_and_its_caption(figures):
    names, place = figures
    captions = (place / "captions.txt").read_text()
    for name in names:
        assert (place / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (place / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (place / f"{name}.svg").read_text().startswith("<svg")
        with (place / f"{name}.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1
        assert f"{name}. " in captions


def test_the_same_runs_give_the_same_bytes(report, figures, tmp_path):
    names, place = figures
    again = write_figures(report, tmp_path / "again")
    assert again == names
    for path in sorted(place.iterdir()):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name


def test_sorting_a_pdf_moves_nothing_outside_its_dictionaries():
    pdf = b"<<\n  /ExtGState <<\n    /gs5 12 0 R\n    /gs10 3 0 R\n  >>\n>>\nxref 0 9"
    ordered = b"<<\n  /ExtGState <<\n    /gs10 3 0 R\n    /gs5 12 0 R\n  >>\n>>\nxref 0 9"
    assert _in_order(pdf) == ordered and len(ordered) == len(pdf)


def test_every_drawing_is_valid_vega_lite_without_a_warning(report):
    for several in report_charts(report).values():
        for chart in several:
            spec = {**chart.drawing, "datasets": {"rows": chart.records()}, "config": theme()}
            assert vl_convert.vegalite_to_vega(json.dumps(spec))


def test_every_colour_of_a_drawing_has_its_partner_in_the_dark(report):
    for several in report_charts(report).values():
        for chart in several:
            used = set(re.findall(r"#[0-9A-Fa-f]{6}", json.dumps(chart.drawing)))
            assert used <= set(DARK), chart.id
    assert set(SERIES) <= set(DARK)


def _luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_colours_of_marks_stand_out_from_both_papers():
    """At least 3 to 1, as WCAG 2.2 asks of graphics (success criterion 1.4.11)."""
    for colour in SERIES:
        assert 1.05 / (_luminance(colour) + 0.05) >= 3
        assert (_luminance(DARK[colour]) + 0.05) / (_luminance("#14181d") + 0.05) >= 3


# -- pieces -----------------------------------------------------------------------------------------------------


def test_a_row_that_does_not_fit_its_columns_is_refused():
    with pytest.raises(ValueError, match="2 cells under 1 columns"):
        Chart("c", "t", "", (Column("a", "a"),), ((1, 2),), {})


def test_a_scale_of_ratios_holds_one_and_all_values():
    low, high = log_axis([2.0, None, 8.0]).to_dict()["domain"]
    assert low < 1 and high > 8


def test_the_suite_is_cut_off_names_only_where_all_share_it():
    assert shared_prefix(["a/x", "a/y"]) == "a/"
    assert shared_prefix(["a/x", "b/y"]) == "" and shared_prefix([]) == ""


def test_many_points_are_thinned_and_those_that_must_stay_do():
    assert _thinned([False] * MOST_POINTS) is None
    kept = [n % 100 == 0 for n in range(10_000)]
    drawn = _thinned(kept)
    assert drawn is not None and len(drawn) <= MOST_POINTS and drawn == tuple(sorted(set(drawn)))
    assert {n for n in range(10_000) if kept[n]} <= set(drawn)
    many = _thinned([True] * 5000)
    assert many is not None and len(many) == MOST_POINTS


def test_a_picture_of_many_tasks_draws_the_best_ones_and_keeps_all(tmp_path):
    run = make_run(tmp_path / "run", [{f"task{n}": [FAST if n == 50 else SAME] for n in range(60)}], controls=1)
    (chart,) = report_charts(read_report([run]))["results"]
    assert chart.drawn is not None and len({chart.rows[place][0] for place in chart.drawn}) == 40
    assert chart.rows[chart.drawn[0]][0] is not None and "20 further tasks" in chart.caption
    assert "task50" in {row["name"] for row in chart.records()} and len({row[0] for row in chart.rows}) == 60
