import signal
import subprocess
import sys
import urllib.request

import pytest
from stored_runs import FAST, store_run

SCRIPT = "import sys; from assay.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_serves_and_ends_cleanly(tmp_path, stop):
    store_run(tmp_path / "one", {"1": [[FAST]]})
    command = [sys.executable, "-c", SCRIPT, "view", str(tmp_path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stderr is not None
        address = server.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert 'data-run="one"' in answer.read().decode()
        server.send_signal(stop)
        assert server.wait(timeout=30) == 0
        assert "Traceback" not in server.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "message"), [(("nowhere",), "no folder nowhere"), (("--port", "70000"), "from 0 to 65535")]
)
def test_a_users_mistake_is_exit_code_two(cli, arguments, message):
    code, out, err = cli("view", *arguments)
    assert code == 2 and out == "" and message in err


def test_view_explains_itself(cli):
    code, out, _ = cli("view", "--help")
    assert code == 0 and "--port" in out and "read-only" in out
