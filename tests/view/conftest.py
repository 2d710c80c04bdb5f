import threading
from pathlib import Path

import pytest
from asking import SECRET, Client
from stored_runs import FAST, SAME, TTT, WRONG, store_run

from assay.view.server import ViewServer


@pytest.fixture
def runs(tmp_path) -> Path:
    """A folder with two runs, one of them in a folder of its own, beside a file that is outside."""
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "runs"
    wins, loses = [[FAST, SAME, WRONG, ""]], [[SAME, SAME, WRONG, ""]]
    store_run(folder / "first", {"1": wins, "2": loses})
    store_run(folder / "sweep" / "second", {"1": wins, "2": wins}, {**TTT, "model": "other"})
    return folder


@pytest.fixture
def serve():
    """Starts a server over a folder; ended after the test."""
    servers = []

    def start(folder: Path) -> Client:
        server = ViewServer(folder, 0)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return Client(server)

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture
def client(serve, runs) -> Client:
    return serve(runs)
