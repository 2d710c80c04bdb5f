import json
from urllib.parse import quote

import pytest
from stored_runs import BEST_OF_N, FAST, SAME, store_run

from assay.core.errors import UsageError
from assay.core.ledger import Spend
from assay.runs.store import RunStore
from assay.view.folder import RunFolder
from assay.view.server import ViewServer


def test_the_list_has_every_run_with_its_figures(client):
    status, _, page = client.get("/")
    assert status == 200
    assert 'data-run="first"' in page and 'data-run="sweep/second"' in page
    assert "best-of-n" in page and "ttt" in page and "state-finished" in page


def test_the_documents_hold_what_the_list_shows(client):
    runs = {run["name"]: run["found"] for run in json.loads(client.get("/api/runs")[2])["runs"]}
    assert set(runs) == {"first", "sweep/second"}
    first, second = runs["first"], runs["sweep/second"]
    assert (first["samples"], first["tasks"], first["wins"], first["state"]) == (8, 2, 1, "finished")
    assert second["wins"] == 2 and second["model"] == "other"
    assert first["tokens"] == 8 * (5 + 3) and first["rollouts"] == 8
    one = json.loads(client.get("/api/run?run=first")[2])["runs"]
    assert [run["name"] for run in one] == ["first"]
    assert client.get("/api/run?run=none")[0] == 404


def test_a_run_page_has_its_tables_words_and_the_way_to_samples(client):
    status, _, page = client.get("/run?run=" + quote("sweep/second"))
    assert status == 200
    assert "By task" in page and "By selector" in page and "faster 1.50x" in page
    assert "A program that is faster, and faster again when measured afresh: 2 of 2 tasks" in page
    assert "/samples?run=sweep/second&amp;task=fake/1&amp;round=0" in page


def test_samples_are_shown_by_page_with_their_programs(serve, tmp_path):
    store_run(tmp_path / "runs" / "many", {"1": [[FAST] + [SAME] * 44]}, text="x = 1\n")
    client = serve(tmp_path / "runs")
    status, _, page = client.get("/samples?run=many&task=fake/1&round=0")
    assert status == 200 and page.count("<article>") == 20 and "page 1 of 3" in page
    assert "x = 1" in page and "/candidate?run=many" in page and "measured again: faster" in page
    last = client.get("/samples?run=many&task=fake/1&round=0&page=2")[2]
    assert last.count("<article>") == 5
    assert client.get("/samples?run=many&task=fake/9&round=0")[0] == 404
    assert client.get("/samples?run=many&task=fake/1&round=-1")[0] == 400


def test_a_program_is_shown_and_downloaded_as_text(client, runs):
    with RunStore.open(runs / "first") as store:
        candidate = store.attempts()[0].candidate
    assert candidate is not None
    status, _, page = client.get(f"/candidate?run=first&hash={candidate.hash}")
    assert status == 200 and "ratio=1.5" in page
    status, headers, source = client.get(f"/candidate.py?run=first&hash={candidate.hash}")
    assert status == 200 and source == candidate.source
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["Content-Disposition"] == f'attachment; filename="{candidate.hash}.py"'
    assert client.get("/candidate.py?run=first&hash=0000")[0] == 404


def test_ticked_runs_are_compared_or_the_refusal_says_how_to_go_on(client, runs):
    status, _, page = client.get("/compare?run=first&run=" + quote("sweep/second"))
    assert status == 200 and "paired by task" in page and "sweep/second" in page and "McNemar" in page
    store_run(runs / "small", {"1": [[FAST, SAME]], "2": [[SAME, SAME]]})
    refused = client.get("/compare?run=first&run=small")[2]
    assert 'role="alert"' in refused and "--at rollouts=4" in refused
    assert "paired by task" in client.get("/compare?run=first&run=small&at=rollouts%3D4")[2]
    assert "paired by task" in client.get("/compare?run=first&run=small&anyway=1")[2]
    assert "tick 2 to" in client.get("/compare?run=first")[2]
    assert client.get("/compare?run=first&run=none")[0] == 404


def test_messages_name_runs_as_the_list_does(client, runs):
    page = client.get("/compare?run=first&run=sweep%2Fsecond&at=rollouts%3D1")[2]
    assert "buys less than" in page and str(runs) not in page


def test_a_run_that_is_being_written_is_running_and_its_progress_moves(client, runs):
    store_run(runs / "done", {"1": [[FAST]]})
    with RunStore.create(runs / "live", {**BEST_OF_N, "strategy": {"type": "best-of-n", "k": 4}}, []) as store:

        def live():
            return json.loads(client.get("/api/run?run=live")[2])["runs"][0]["found"]

        assert (live()["state"], live()["rounds"]) == ("running", 0)
        assert client.get("/run?run=live")[0] == 200
        store.finish_round(0, "s", "2026-01-01T00:00:00+00:00", Spend(prompt_tokens=7))
        assert (live()["rounds"], live()["tokens"]) == (1, 7)
    assert live()["state"] == "stopped"
    with RunStore.open(runs / "live", writable=True) as store:
        assert live()["state"] == "running"
        store.complete("2026-01-01T00:00:00+00:00")
    assert live()["state"] == "finished"


def test_watching_never_keeps_a_writer_out(client, runs):
    for _ in range(20):
        client.get("/api/runs")
        with RunStore.open(runs / "first", writable=True):
            client.get("/api/runs")


def test_an_empty_folder_says_what_makes_a_run_and_one_run_is_a_folder_too(serve, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "assay run best-of-n" in serve(tmp_path / "empty").get("/")[2]
    run = store_run(tmp_path / "run", {"1": [[FAST]]})
    client = serve(run)
    assert 'data-run="."' in client.get("/")[2] and client.get("/run?run=.")[0] == 200


def test_a_folder_that_is_none_and_a_taken_port_are_usage_errors(tmp_path, client):
    with pytest.raises(UsageError, match="no folder"):
        RunFolder(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="--port"):
        ViewServer(tmp_path, client.port)
