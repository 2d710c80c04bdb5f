"""Where Assay keeps what it has fetched, built or measured once, and how small files there are written."""

import json
import os
import threading
from pathlib import Path
from typing import Any


def cache_root(cache_dir: Path | None = None) -> Path:
    """`cache_dir`, else the folder named by ASSAY_CACHE, else ~/.cache/assay."""
    if cache_dir is not None:
        return cache_dir
    named = os.environ.get("ASSAY_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "assay"


def write_json(path: Path, document: Any) -> None:
    """Writes `path` whole or not at all: no other process or thread reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.write_text(json.dumps(document))
    temporary.replace(path)
