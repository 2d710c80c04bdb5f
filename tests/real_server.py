"""A real server process: llama-cpp-python's, with a registered model on this CPU."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from assay.policies.models import obtain

PATIENCE_S = 120.0


def llama_python() -> str:
    """The Python that has `llama-cpp-python[server]`: named by ASSAY_LLAMA_PYTHON, else this one; skips without one."""
    python = os.environ.get("ASSAY_LLAMA_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import llama_cpp.server, uvicorn"], capture_output=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"{python} has no llama-cpp-python[server]; name one that has in ASSAY_LLAMA_PYTHON")
    return python


@contextmanager
def llama_server(model: str, *options: str) -> Iterator[str]:
    """The specification of `model` at a new server, which ends with the context."""
    python, file = llama_python(), obtain(model)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [python, "-m", "llama_cpp.server", "--model", str(file), "--model_alias", model, "--port", str(port)]
    command += ["--logits_all", "true", "--n_ctx", "1024", "--n_threads", "1", "--n_threads_batch", "1", *options]
    with TemporaryDirectory() as folder, Path(folder, "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait(process, f"http://127.0.0.1:{port}/v1/models", Path(folder, "log"))
            yield f"openai:{model}@http://127.0.0.1:{port}/v1"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text()[-2000:]}")
