import json
import os
import socket
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from asking import SECRET
from stored_runs import FAST, SAME, store_run

from assay.runs.schema import TABLES
from assay.view import folder as view_folder
from assay.view import server as view_server

EVIL = "</pre><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">{{ 7 * 7 }}"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/%2e%2e/server.py",
        "/run?run=..",
        "/run?run=../secret.txt",
        "/run?run=%2e%2e%2fsecret.txt",
        "/run?run=..%252fsecret.txt",
        "/run?run=/etc",
        "/run?run=first/../../runs/first",
        "/run?run=first%00",
        "/run?run=",
        "/run",
        "/samples?run=first&task=../../../secret.txt&round=0",
        "/candidate.py?run=first&hash=../../secret.txt",
        "/candidate.py?run=..&hash=secret.txt",
        "/api/run?run=../secret.txt",
        "/compare?run=first&run=../secret.txt",
        "http://127.0.0.1/etc/passwd",
        "file:///etc/passwd",
    ],
)
def test_no_request_reads_outside_the_folder(client, path):
    status, _, page = client.get(path)
    assert status in (400, 404), page
    assert SECRET not in page and "root:" not in page and "import " not in page


@pytest.mark.parametrize("path", ["/run?run=%ff%fe", "/?%00", "/run?run=" + "a" * 5000, "/run?" + "a=1&" * 500])
def test_odd_addresses_are_refused_and_harm_nothing(client, path):
    assert client.get(path)[0] in (200, 400, 404)
    assert client.get("/")[0] == 200


def test_links_out_of_the_folder_are_not_followed(serve, tmp_path):
    outside = store_run(tmp_path / "outside" / "private", {"1": [[FAST]]}, text=SECRET)
    runs = tmp_path / "runs"
    store_run(runs / "plain", {"1": [[FAST]]})
    (runs / "linked").symlink_to(outside)
    (runs / "file").mkdir()
    (runs / "file" / "run.sqlite").symlink_to(outside / "run.sqlite")
    store_run(runs / "sneaky", {"1": [[FAST]]})
    (runs / "sneaky" / "adapters" / "round-0").mkdir(parents=True)
    (runs / "sneaky" / "adapters" / "round-0" / "step.json").symlink_to(tmp_path / "outside")
    store_run(runs / "wal", {"1": [[FAST]]})
    (runs / "wal" / "run.sqlite-wal").symlink_to(outside / "run.sqlite")
    client = serve(runs)
    listed = {run["name"]: run for run in json.loads(client.get("/api/runs")[2])["runs"]}
    assert set(listed) == {"plain", "sneaky", "wal"}
    assert listed["plain"]["found"] and not listed["sneaky"]["found"] and not listed["wal"]["found"]
    assert "is a link" in listed["sneaky"]["problem"]
    for name in ("linked", "file", "sneaky", "wal"):
        status, _, page = client.get(f"/run?run={name}")
        assert status == 404 and SECRET not in page


def test_pipes_and_devices_in_a_run_do_not_hang_the_server(serve, tmp_path):
    store_run(tmp_path / "runs" / "piped", {"1": [[FAST]]})
    os.mkfifo(tmp_path / "runs" / "piped" / "manifest.pipe")
    (tmp_path / "runs" / "odd").mkdir()
    os.mkfifo(tmp_path / "runs" / "odd" / "run.sqlite")
    client = serve(tmp_path / "runs")
    assert client.get("/")[0] == 200
    assert client.get("/run?run=piped")[0] == 404 and client.get("/run?run=odd")[0] == 404


# -- what is stored is shown as text ----------------------------------------------------------------------------


def test_markup_in_samples_programs_and_names_is_shown_as_text(serve, tmp_path):
    name = "<img src=x onerror=alert(1)>\"'"
    config = {"model": EVIL, "suite": EVIL, "device": EVIL, "strategy": {"type": EVIL}}
    run = store_run(tmp_path / "runs" / name, {EVIL: [[FAST, SAME]]}, config, text=EVIL)
    other = store_run(tmp_path / "runs" / "other", {EVIL: [[FAST, SAME]]}, config, text=EVIL)
    client = serve(tmp_path / "runs")
    asked, task = quote(run.name, safe=""), quote(f"fake/{EVIL}", safe="")
    pages = [
        client.get(path)
        for path in (
            "/",
            f"/run?run={asked}",
            f"/samples?run={asked}&task={task}&round=0",
            f"/compare?run={asked}&run={other.name}&at={quote(EVIL)}",
            f"/compare?run={asked}&run={other.name}",
            f"/run?run={quote(EVIL)}",
            f"/samples?run={asked}&task={quote(EVIL)}&round={quote(EVIL)}",
        )
    ]
    assert [status for status, _, _ in pages[:5]] == [200] * 5
    for _, headers, page in pages:
        assert "<script>" not in page and "<img" not in page and 'onerror="' not in page
        assert page.count("<script ") == 1 and "script-src 'self'" in headers["Content-Security-Policy"]
    assert "&lt;script&gt;" in pages[2][2] and "{{ 7 * 7 }}" in pages[2][2]


def test_characters_that_reorder_or_hide_text_are_shown_as_their_numbers(serve, tmp_path):
    store_run(tmp_path / "runs" / "bidi", {"1": [[FAST]]}, text="x = 1 # \u202e\u2066 hidden \u200b\x1b[31m\n")
    client = serve(tmp_path / "runs")
    page = client.get("/samples?run=bidi&task=fake/1&round=0")[2]
    assert "\\u202e\\u2066 hidden \\u200b\\u001b[31m" in page
    assert not any(hidden in page for hidden in "\u202e\u2066\u200b\x1b")


def test_every_answer_has_the_security_headers_and_no_cookie(client):
    for path in ("/", "/run?run=first", "/api/runs", "/static/view.js", "/nowhere"):
        _, headers, _ = client.get(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Set-Cookie" not in headers and "Access-Control-Allow-Origin" not in headers


def test_the_report_is_put_into_a_sandbox_of_its_own(client):
    pytest.importorskip("vl_convert")
    status, headers, _ = client.get("/report?run=first")
    policy = headers["Content-Security-Policy"]
    assert status == 200 and policy.startswith("sandbox allow-scripts") and "allow-same-origin" not in policy
    assert "connect-src" not in policy and "default-src 'none'" in policy
    assert client.get("/report?run=../secret.txt")[0] == 404


def test_no_page_has_a_script_or_style_in_line(client):
    for path in (
        "/",
        "/run?run=first",
        "/samples?run=first&task=fake/1&round=0",
        "/compare?run=first&run=sweep/second",
    ):
        page = client.get(path)[2]
        assert "<style" not in page and " style=" not in page and "onclick" not in page
        assert page.count("<script") == 1 and "<script src=" in page


# -- who may ask ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.evil", "[::2]"]
)
def test_another_host_name_is_refused(client, host):
    status, _, page = client.get("/", Host=host)
    assert status == 421 and "first" not in page


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:9999", "LOCALHOST", "[::1]:80", "[::1]"])
def test_names_of_this_machine_are_served_whatever_the_port(client, host):
    assert client.get("/", Host=host)[0] == 200


def test_two_host_headers_and_none_are_refused(client):
    assert b" 421 " in client.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n")[:40]
    assert b" 421 " in client.raw(b"GET / HTTP/1.1\r\n\r\n")[:40]
    assert b" 421 " in client.raw(b"GET / HTTP/1.0\r\n\r\n")[:40]


def test_a_page_elsewhere_may_link_here_but_not_ask_in_the_background(client):
    assert client.get("/api/runs", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert client.get("/static/view.js", Sec_Fetch_Site="same-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert client.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert client.get("/api/runs", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(client, runs, method):
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    status, headers, _ = client.get("/run?run=first", method=method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


def test_looking_writes_nothing(client, runs):
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    for path in (
        "/",
        "/run?run=first",
        "/samples?run=first&task=fake/1&round=0",
        "/compare?run=first&run=sweep/second",
    ):
        assert client.get(path)[0] == 200
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


def test_a_head_request_has_no_body(client):
    status, headers, body = client.get("/", method="HEAD")
    assert status == 200 and body == "" and int(headers["Content-Length"]) > 0


def test_it_listens_on_loopback_alone(client):
    assert client.server.server_address[0] == "127.0.0.1"


# -- requests that are too large, too slow, or none -------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01" + bytes(600) + b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_huge_and_broken_requests_end_and_the_next_is_served(client, data):
    try:
        answer = client.raw(data)
    except (ConnectionResetError, BrokenPipeError):
        answer = b""
    assert b" 200 " not in answer[:20] and b"a" * 1000 not in answer
    assert client.get("/")[0] == 200


def test_a_client_that_sends_nothing_or_a_byte_now_and_then_is_ended(serve, runs, monkeypatch):
    monkeypatch.setattr(view_server, "REQUEST_S", 0.5)
    client = serve(runs)
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as idle:
        assert idle.recv(1) == b""
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as slow:
        try:
            for _ in range(600):
                slow.sendall(b"G")
                time.sleep(0.05)
            pytest.fail("a request without end was read to no end")
        except (ConnectionResetError, BrokenPipeError):
            pass
    assert client.get("/")[0] == 200


def test_many_idle_connections_cost_no_more_than_the_limit(serve, runs, monkeypatch):
    monkeypatch.setattr(view_server, "REQUEST_S", 1.0)
    client = serve(runs)
    idle = [socket.create_connection(("127.0.0.1", client.port), timeout=30) for _ in range(60)]
    for one in idle:
        assert one.recv(1) in (b"",)
        one.close()
    assert client.get("/")[0] == 200


# -- stores that mean harm --------------------------------------------------------------------------------------


def make_store(directory: Path, statements: list[str]) -> None:
    directory.mkdir(parents=True)
    with sqlite3.connect(directory / "run.sqlite") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_a_store_that_computes_is_refused(serve, tmp_path):
    tables = [table for table in TABLES if "TABLE samples" not in table]
    endless = "CREATE VIEW samples AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"
    meta = "INSERT INTO meta VALUES ('store_version', '1')"
    make_store(tmp_path / "view", [*tables, endless, meta])
    make_store(tmp_path / "virtual", [*TABLES, "CREATE VIRTUAL TABLE t USING fts5(x)", meta])
    trigger = "CREATE TRIGGER t AFTER INSERT ON meta BEGIN DELETE FROM meta; END"
    make_store(tmp_path / "trigger", [*TABLES, meta, trigger])
    computed = "CREATE TABLE extra (a INTEGER, b TEXT GENERATED ALWAYS AS (hex(zeroblob(a))) VIRTUAL)"
    make_store(tmp_path / "generated", [*TABLES, meta, computed])
    client = serve(tmp_path)
    for run in json.loads(client.get("/api/runs")[2])["runs"]:
        assert run["found"] is None and "more than tables" in run["problem"]
    assert client.get("/run?run=view")[0] == 404


def test_a_query_that_takes_long_is_ended(tmp_path, serve, monkeypatch):
    run = store_run(tmp_path / "runs" / "big", {"1": [[FAST]]})
    with sqlite3.connect(run / "run.sqlite") as connection:
        connection.execute(
            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 300000)"
            " INSERT INTO ledger (phase) SELECT 'x' FROM c"
        )
    connection.close()
    monkeypatch.setattr(view_folder, "QUERY_S", -1.0)
    client = serve(tmp_path / "runs")
    found = json.loads(client.get("/api/runs")[2])["runs"][0]
    assert found["found"] is None and "interrupted" in found["problem"]
    assert client.get("/run?run=big")[0] == 503


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE meta SET value = '{}' WHERE key = 'config'",
        "UPDATE meta SET value = '[1, 2]' WHERE key = 'config'",
        "UPDATE meta SET value = 'not json' WHERE key = 'config'",
        "UPDATE meta SET value = '9999' WHERE key = 'store_version'",
        "UPDATE meta SET value = 'many' WHERE key = 'store_version'",
        "DELETE FROM meta",
        "UPDATE tasks SET record = '{\"deep\": ' || replace(hex(zeroblob(20000)), '00', '[')",
        "UPDATE samples SET record = '{}'",
        "UPDATE samples SET tokens = x'01'",
        "UPDATE samples SET mean_logprob = 9e999",
        "UPDATE evaluations SET record = 'x', verdict = '<script>'",
        "UPDATE evaluations SET record = replace(record, '1.5', '-1.5')",
        "DROP TABLE evaluations",
        "UPDATE ledger SET rollouts = -5, sampling_s = 9e999",
        "UPDATE candidates SET source = replace(hex(zeroblob(30000000)), '0', 'a')",
    ],
)
def test_a_damaged_store_costs_its_own_pages_and_no_others(serve, tmp_path, statement):
    runs = tmp_path / "runs"
    store_run(runs / "good", {"1": [[FAST, SAME]]})
    bad = store_run(runs / "bad", {"1": [[FAST, SAME]]})
    with sqlite3.connect(bad / "run.sqlite") as connection:
        connection.execute(statement)
    connection.close()
    client = serve(runs)
    assert client.get("/")[0] == 200
    for path in (
        "/run?run=bad",
        "/samples?run=bad&task=fake/1&round=0",
        "/compare?run=good&run=bad",
        "/api/run?run=bad",
    ):
        status, _, page = client.get(path)
        assert status in (200, 400, 404, 500, 503) and "Traceback" not in page and "<script>" not in page
    json.loads(client.get("/api/runs")[2])
    assert client.get("/run?run=good")[0] == 200


def test_what_is_no_store_is_said_to_be_none(serve, tmp_path):
    (tmp_path / "noise").mkdir()
    (tmp_path / "noise" / "run.sqlite").write_bytes(os.urandom(5000))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "run.sqlite").touch()
    client = serve(tmp_path)
    runs = json.loads(client.get("/api/runs")[2])["runs"]
    assert {run["name"] for run in runs} == {"noise", "empty"} and all(run["problem"] for run in runs)
    assert client.get("/run?run=noise")[0] == 503
