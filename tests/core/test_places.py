"""Small files that are written whole."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from assay.core.places import write_json


def test_threads_that_write_the_same_file_do_not_take_each_others_away(tmp_path: Path):
    path = tmp_path / "kept" / "noise.json"  # two judges of one process calibrate the same task
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: write_json(path, {"number": number}), range(400)))
    finally:
        sys.setswitchinterval(before)
    assert json.loads(path.read_text())["number"] in range(400)
    assert list(path.parent.iterdir()) == [path]
