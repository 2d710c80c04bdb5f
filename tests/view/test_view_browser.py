from urllib.parse import quote

import pytest
from stored_runs import BEST_OF_N, FAST, SAME, store_run

from assay.core.ledger import Spend
from assay.runs.store import RunStore

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.browser

EVIL = (
    "</pre></textarea><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    "<svg onload=\"document.title='owned'\"><a href=\"javascript:document.title='owned'\">x</a>"
)


@pytest.fixture
def page(chromium):
    """A page that keeps what it complained about, and what it asked for."""
    page = chromium.new_page()
    page.complaints, page.asked = [], []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: (page.complaints.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


def test_runs_are_filtered_ticked_and_compared(page, client):
    page.goto(client.server.address)
    compare = page.get_by_role("button", name="Compare ticked runs")
    assert compare.is_disabled()
    page.get_by_label("Filter").fill("ttt")
    assert page.locator("#runs tbody tr:visible").count() == 1 and "1 of 2 shown" in page.content()
    page.get_by_label("Filter").fill("")
    page.get_by_label("tick first").check()
    assert compare.is_disabled()
    page.get_by_label("tick sweep/second").check()
    compare.click()
    page.wait_for_url("**/compare?*")
    assert page.get_by_text("paired by task").count() == 1
    page.get_by_role("link", name="compare with this one first").click()
    assert page.get_by_text("paired by task").count() == 1
    assert page.complaints == []


def test_a_run_is_read_down_to_its_samples_and_programs(page, client):
    page.goto(client.server.address)
    page.get_by_role("link", name="first", exact=True).click()
    assert page.get_by_role("heading", name="By task").is_visible()
    page.get_by_role("link", name="round 0").first.click()
    assert page.locator("article").count() == 4
    page.get_by_role("link", name="program").first.click()
    assert "ratio=" in page.locator("pre").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".py")
    assert page.complaints == []


def test_the_full_report_works_in_its_sandbox(page, client):
    pytest.importorskip("vl_convert")
    page.goto(client.server.address + "run?run=first")
    page.get_by_role("link", name="The full report").click()
    page.wait_for_load_state("networkidle")
    assert page.locator("svg, canvas").count() > 0
    assert page.evaluate("window.origin") == "null"
    assert page.complaints == [] and all(url.startswith(client.server.address) for url in page.asked)


def test_progress_moves_while_a_run_goes_on(page, serve, tmp_path):
    (tmp_path / "runs").mkdir()
    with RunStore.create(tmp_path / "runs" / "live", BEST_OF_N, []) as store:
        client = serve(tmp_path / "runs")
        page.goto(client.server.address + "run?run=live")
        rounds = page.locator('[data-cell="rounds"]')
        assert rounds.inner_text() == "0" and page.locator('[data-cell="state"]').inner_text() == "running"
        store.finish_round(0, "s", "2026-01-01T00:00:00+00:00", Spend())
        playwright.expect(rounds).to_have_text("1", timeout=20_000)
        playwright.expect(page.locator("#reload")).to_be_visible()
    playwright.expect(page.locator('[data-cell="state"]')).to_have_text("stopped", timeout=20_000)
    assert page.complaints == []


def test_a_new_run_is_announced_in_the_list(page, client, runs):
    page.goto(client.server.address)
    page.get_by_label("tick first").check()
    store_run(runs / "third", {"1": [[FAST]]})
    playwright.expect(page.locator("#reload")).to_be_visible(timeout=20_000)
    assert page.get_by_label("tick first").is_checked()


def test_hostile_runs_do_nothing_in_a_browser(page, serve, tmp_path):
    config = {"model": EVIL, "suite": EVIL, "device": EVIL, "strategy": {"type": EVIL}}
    name = "<img src=x onerror=\"document.title='owned'\">"
    for run in (name, "other"):
        store_run(tmp_path / "runs" / run, {EVIL.replace("/", "_"): [[FAST, SAME]]}, config, text=EVIL)
    client = serve(tmp_path / "runs")
    task = quote("fake/" + EVIL.replace("/", "_"), safe="")
    with RunStore.open(tmp_path / "runs" / "other") as store:
        candidate = store.attempts()[0].candidate
    assert candidate is not None
    paths = (
        "",
        f"run?run={quote(name, safe='')}",
        f"samples?run={quote(name, safe='')}&task={task}&round=0",
        f"candidate?run=other&hash={candidate.hash}",
        f"compare?run={quote(name, safe='')}&run=other&at={quote(EVIL, safe='')}",
        f"compare?run=other&run={quote(name, safe='')}",
        f"run?run={quote(EVIL, safe='')}",
    )
    for path in paths:
        page.goto(client.server.address + path)
        page.wait_for_load_state("networkidle")
        assert "owned" not in page.title() or "document.title" in page.title()
        assert page.evaluate("document.title") != "owned"
        assert page.locator("img, svg, iframe, a[href^='javascript']").count() == 0
    page.goto(client.server.address + paths[2])
    assert "<script>document.title='owned'</script>" in page.locator("article pre").first.inner_text()
    assert all(url.startswith(client.server.address) for url in page.asked)
    expected = [text for text in page.complaints if "404" not in text]  # the run that is not there
    assert expected == []


def test_the_policy_stops_a_script_that_slipped_through(page, client):
    page.goto(client.server.address)
    page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "document.title = 'owned'";
            document.body.append(script);
            const image = document.createElement("div");
            image.innerHTML = '<img src="https://example.com/x" onerror="document.title = \\'owned\\'">';
            document.body.append(image);
        }"""
    )
    page.wait_for_timeout(300)
    assert page.title() != "owned"
    assert any("Content Security Policy" in text for text in page.complaints)
