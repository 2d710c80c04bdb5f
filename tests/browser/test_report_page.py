"""The page of `assay report --html` in Chromium. Console messages and network requests fail each test, see `tab`."""

import csv

import pytest
from page_runs import FASTER, HOSTILE, adapted, best_of_n, hostile

pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from assay.report.page import write_page
from assay.report.page_model import read_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The page of a search and of a run that adapted."""
    place = tmp_path_factory.mktemp("page")
    runs = [best_of_n(place / "search"), adapted(place / "adapted")]
    write_page(read_report(runs), place / "report.html")
    return place / "report.html"


@pytest.fixture(scope="session")
def evil(tmp_path_factory):
    """The page of a run whose every text is an attack."""
    place = tmp_path_factory.mktemp("evil")
    write_page(read_report([hostile(place / "run")]), place / "report.html")
    return place / "report.html"


def test_every_chart_is_drawn(page, tab):
    tab.open(page)
    charts = tab.page.locator("figure.chart").count()
    assert charts > 12
    assert tab.page.locator("figure.chart .plot svg").count() == charts
    for number in range(charts):
        marks = tab.page.locator("figure.chart").nth(number).locator("svg .mark-group path, svg [class*=mark-] path")
        assert marks.count() > 0
    assert tab.page.locator("h1").first.inner_text().endswith("none was called faster.")


def test_a_chart_opens_as_a_table_by_keyboard(page, tab):
    tab.open(page)
    button = tab.page.locator("#chart-scaling [data-do=table]")
    button.focus()
    tab.page.keyboard.press("Enter")
    assert button.get_attribute("aria-expanded") == "true"
    rows = tab.page.locator("#chart-scaling .rows tbody tr")
    assert rows.count() > 8 and "best of K, verified" in rows.first.inner_text()
    tab.page.keyboard.press("Enter")
    assert tab.page.locator("#chart-scaling .rows").is_hidden()


def test_the_csv_of_a_chart_holds_all_its_rows(page, tab):
    tab.open(page)
    with tab.page.expect_download() as found:
        tab.page.locator("#chart-surprisal [data-do=csv]").click()
    with open(found.value.path(), newline="") as file:
        rows = list(csv.reader(file))
    assert found.value.suggested_filename == "surprisal.csv"
    assert rows[0][:6] == ["run", "task", "round", "sample", "surprisal", "speedup"] and len(rows) == 1 + 7


def test_a_point_leads_to_the_code_behind_it(page, tab):
    tab.open(page)
    point = tab.page.locator("#chart-surprisal svg .mark-symbol path").nth(1)
    point.scroll_into_view_if_needed()
    point.click()
    peek = tab.page.locator("#chart-surprisal .peek")
    peek.locator(".code").wait_for()
    assert "class ModelNew(Model)" in peek.inner_text()
    peek.locator("a").click()
    assert tab.page.locator("#task h1").inner_text().startswith("Sample")


def test_the_page_of_a_task_filters_searches_and_sorts(page, tab):
    tab.open(page, "#/task/0/0")
    status, rows = tab.page.locator("[role=status]"), tab.page.locator("#task .scroll tbody tr")
    assert status.inner_text() == "6 of 6 samples" and rows.count() == 6
    tab.page.get_by_label("status", exact=True).select_option("correct")
    assert status.inner_text() == "4 of 6 samples"
    tab.page.get_by_label("verdict").select_option("faster")
    assert status.inner_text() == "3 of 6 samples"
    tab.page.get_by_label("in code, text or error").fill("ratio=2.5")
    assert status.inner_text() == "1 of 6 samples" and "2.50x" in rows.first.inner_text()
    tab.page.get_by_label("in code, text or error").fill("")
    tab.page.get_by_label("order").select_option("fastest first")
    assert "2.50x" in rows.first.inner_text()
    tab.page.get_by_label("status", exact=True).select_option("")
    tab.page.get_by_label("verdict").select_option("none")
    assert status.inner_text() == "2 of 6 samples"


def test_a_sample_shows_its_difference_to_the_reference_its_timing_and_its_tokens(page, tab):
    tab.open(page, "#/task/0/0/1")
    assert tab.page.locator("#task .code .add").all_inner_texts() == [FASTER]
    tab.page.get_by_role("button", name="Program").click()
    assert tab.page.locator("#task .code .add").count() == 0
    assert FASTER in tab.page.locator("#task .code").inner_text()
    tab.page.locator("#task .plot svg").wait_for()
    assert "did not keep its single pairs" in tab.page.locator("#task").inner_text()
    assert tab.page.locator("#task .heat .t").count() == 3
    assert tab.page.locator("#task .heat .t").nth(1).get_attribute("title") == "token 2: 2.00 nats"


def test_a_completion_without_a_program_says_why(page, tab):
    tab.open(page, "#/task/0/0/3")
    text = tab.page.locator("#task").inner_text()
    assert "Why no program was found" in text and "no class" in text and "text of nothing" in text


def test_samples_are_walked_and_left_by_their_links(page, tab):
    tab.open(page, "#/task/0/0/1")
    tab.page.get_by_role("link", name="Next sample").click()
    tab.page.get_by_role("heading", name="Sample 2").wait_for()
    assert tab.value("document.activeElement.tagName") == "H1"
    tab.page.get_by_role("link", name="Report", exact=True).click()
    tab.page.locator("html[data-charts=drawn]").wait_for(state="attached")
    assert tab.page.locator("#overview").is_visible() and tab.page.locator("#task").is_hidden()


def test_the_first_key_leads_past_the_contents_and_colours_can_be_chosen(page, tab):
    tab.open(page)
    tab.page.keyboard.press("Tab")
    assert tab.value("document.activeElement.className") == "skip"
    light = tab.value("getComputedStyle(document.body).backgroundColor")
    button = tab.page.locator("#theme")
    button.click()
    button.click()
    assert button.inner_text().endswith("dark")
    assert tab.value("getComputedStyle(document.body).backgroundColor") != light
    tab.page.wait_for_timeout(300)
    assert "#E5E9F0" in tab.page.locator("#chart-scaling svg").inner_html().upper()


def test_everything_that_acts_or_shows_has_a_name(page, tab):
    tab.open(page)
    unnamed = """[...document.querySelectorAll('button, a, select, input, [role=img], [role=region]')]
        .filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.closest('label')))
        .length"""
    assert tab.value(unnamed) == 0
    twice = "(() => { const ids = [...document.querySelectorAll('[id]')].map((one) => one.id).filter(Boolean);"
    twice += (
        " return ids.filter((one, n) => ids.indexOf(one) !== n && !document.getElementById(one).closest('svg')); })()"
    )
    assert tab.value(twice) == []
    assert tab.value("document.documentElement.lang") == "en"


def test_a_phone_scrolls_in_one_direction_only(page, phone):
    for place in ("", "#/task/0/0", "#/task/0/0/1"):
        phone.open(page, place)
        assert phone.value("document.documentElement.scrollWidth") <= 390
    phone.page.locator("#menu").click()
    assert phone.page.locator("#nav").is_visible()
    phone.page.locator("#nav a[href='#trust']").click()
    assert phone.page.locator("#nav").is_hidden()


def test_print_leaves_out_what_paper_cannot_do(page, tab):
    tab.open(page)
    tab.page.emulate_media(media="print")
    for gone in ("#nav", ".bar", "#chart-scaling .tools"):
        assert tab.page.locator(gone).first.is_hidden()
    assert tab.page.locator("#chart-scaling svg").is_visible()
    assert len(tab.page.pdf()) > 50_000


def test_paper_is_light_though_the_screen_is_dark(page, phone):
    phone.open(page)
    assert phone.value("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    phone.page.emulate_media(media="print", color_scheme="dark")
    assert phone.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_hostile_text_is_inert_wherever_it_is_shown(evil, tab):
    places = ["", "#/task/0/0", *(f"#/task/0/0/{row}" for row in range(len(HOSTILE) + 2))]
    for place in places:
        tab.open(evil, place)
        tab.page.wait_for_timeout(50)
        assert tab.value("window.owned") is None
        assert (
            tab.value("document.querySelectorAll('#task script, #task img, #task iframe, #overview img').length") == 0
        )
        mark = tab.page.locator("figure .mark-symbol path, #task .plot .mark-symbol path")
        if not place.startswith("#/") and mark.count():
            mark.first.scroll_into_view_if_needed()
            mark.first.hover()  # the tooltip is the one place where the drawing library writes markup
            assert tab.page.locator(".vg-tooltip").count() == 1
            assert tab.value("document.querySelectorAll('.vg-tooltip :is(script, img, b, i)').length") == 0
        assert tab.value("[...document.querySelectorAll('a')].every((one) => one.getAttribute('href').startsWith('#'))")
    tab.page.locator("#task .code").first.wait_for()


def test_characters_that_hide_or_reorder_are_shown_by_number(evil, tab):
    tab.open(evil, f"#/task/0/0/{list(HOSTILE).index('bidi')}")
    shown = tab.page.locator("#task .code .ctl").all_inner_texts()
    assert {"U+202E", "U+2066", "U+200B", "U+FEFF"} <= set(shown)


def test_single_pairs_are_drawn_where_the_evaluation_kept_them(evil, tab):
    tab.open(evil, "#/task/0/0/0")
    tab.page.locator("#task .plot svg").wait_for()
    assert "Each small mark is one timed pair" in tab.page.locator("#task").inner_text()
    assert tab.page.locator("#task .plot svg .mark-rect path").count() == 4
