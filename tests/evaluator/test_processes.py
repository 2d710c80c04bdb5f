"""What the judge reads of processes that come and go while it reads."""

import os
import subprocess
import threading
import time

from assay.evaluator.processes import descendants


def test_descendants_are_counted_while_processes_come_and_go():
    is_over = threading.Event()

    def come_and_go() -> None:
        while not is_over.is_set():
            subprocess.run(["true"], check=True)

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    with subprocess.Popen(["sleep", "60"]) as lasting:
        for thread in threads:
            thread.start()
        try:
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                assert lasting.pid in descendants(os.getpid())
        finally:
            is_over.set()
            lasting.kill()
            for thread in threads:
                thread.join()
