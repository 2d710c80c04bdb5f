"""Runs a command while a Tinker-compatible server is up on this machine, and stops the server afterwards.

    python with_server.py --server-python VENV/bin/python -- python -m pytest tests/conformance/test_tinker_server.py

The command finds the served model in ASSAY_TINKER_MODEL (`tinker:FOLDER@URL`); the
exit status is the command's.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from make_model import make

HERE = Path(__file__).parent
START_S = 300
# One thread: several are slower where other work goes on.
XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


@contextmanager
def server(python: str, work: Path, model: Path, port: int, adapters: int) -> Iterator[str]:
    """The URL of a server that is up; its files are in `work`."""
    command = [python, str(HERE / "serve.py"), "--base-model", str(model), "--port", str(port)]
    command += ["--checkpoints-base", str(work / "checkpoints"), "--database-url", f"sqlite:///{work / 'tinker.db'}"]
    # A fixed number of sequences leaves JAX fewer shapes to compile.
    config = {"max_lora_adapters": adapters, "max_lora_rank": 16, "sample_max_num_sequences": 16}
    command += ["--backend", "jax", "--backend-config", json.dumps(config), "--session-timeout-sec", "60"]
    log = work / "server.log"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1", "XLA_FLAGS": XLA}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        yield _wait(process, f"http://127.0.0.1:{port}", log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> str:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/api/v1/healthz", timeout=5).close()
            return url
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    sys.exit(f"the server did not start; its output:\n{log.read_text(errors='replace')[-4000:]}")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server-python", required=True, help="interpreter of an environment that has skyrl")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--model", type=Path, help="folder of a model to serve; default: a tiny one with random weights"
    )
    parser.add_argument(
        "--adapters", type=int, default=64, help="room for adapters; memory grows with vocabulary times this"
    )
    parser.add_argument("--work", type=Path, help="folder for model, checkpoints and log; default: a temporary one")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    command = given.command[1:] if given.command[:1] == ["--"] else given.command
    if not command:
        parser.error("a command is missing")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the server is stopped then too
    with tempfile.TemporaryDirectory(prefix="assay-tinker-") as temporary:
        work = (given.work or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        model = given.model.absolute() if given.model else make(work / "tiny-qwen3")
        with server(given.server_python, work, model, given.port or free_port(), given.adapters) as url:
            environment = {**os.environ, "ASSAY_TINKER_MODEL": f"tinker:{model}@{url}"}
            return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
