"""Carries a large file to a machine that only takes small ones: pieces with hashes here, joined and verified there.

    python benchmarks/carry_weights.py split MODEL.gguf --into FOLDER --pieces 8
    python benchmarks/carry_weights.py join FOLDER --to PLACE --moved

`split` writes FOLDER/FILE.00, .01 and so on, and FOLDER/FILE.pieces.json with the size and SHA-256 of each piece and of
the whole. `join` may be called after every arrival: it keeps the pieces that are right in PLACE/FILE.arrived, says
which are missing, and makes PLACE/FILE once all are there and the hash of the whole is right. FOLDER holds the
description and any of the pieces. Only the standard library is used. Exit codes: 0 done, 1 a piece or the whole is not
what it should be, 3 pieces are missing.
"""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

CHUNK_BYTES = 1 << 22
DESCRIPTION = ".pieces.json"


def split(source: Path, folder: Path, pieces: int) -> Path:
    """Writes equal pieces and their description, whose path is returned."""
    total = source.stat().st_size
    size = -(-total // pieces)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    with source.open("rb") as file:
        for number in range(pieces):
            piece = folder / f"{source.name}.{number:02d}"
            with piece.open("wb") as out:
                _copy(file, out, size)
            rows.append({"name": piece.name, "bytes": piece.stat().st_size, "sha256": sha256_of(piece)})
    description = folder / f"{source.name}{DESCRIPTION}"
    whole = {"name": source.name, "bytes": total, "sha256": sha256_of(source)}
    description.write_text(json.dumps({"whole": whole, "pieces": rows}, indent=1))
    return description


def join(folder: Path, place: Path, is_moved: bool) -> int:
    """Takes what has arrived in `folder`, and makes the file if that was the last; the exit code. For what it prints,
    see above.
    """
    (description,) = folder.glob(f"*{DESCRIPTION}")
    wanted = json.loads(description.read_text())
    whole = wanted["whole"]
    target, arrived = place / whole["name"], place / f"{whole['name']}.arrived"
    if target.exists() and _is(target, whole):
        print(f"{target} is there")
        return 0
    arrived.mkdir(parents=True, exist_ok=True)
    for row in wanted["pieces"]:
        come = folder / row["name"]
        if not come.exists():
            continue
        if not _is(come, row):
            print(f"{come} is not what was split: send it again", file=sys.stderr)
            return 1
        (shutil.move if is_moved else shutil.copyfile)(come, arrived / row["name"])
    missing = [row["name"] for row in wanted["pieces"] if not (arrived / row["name"]).exists()]
    if missing:
        print(f"{len(missing)} of {len(wanted['pieces'])} pieces are missing: {', '.join(missing)}")
        return 3
    return _whole(wanted, arrived, target)


def _whole(wanted: dict[str, Any], arrived: Path, target: Path) -> int:
    unfinished = target.with_name(target.name + ".partial")
    with unfinished.open("wb") as out:
        for row in wanted["pieces"]:
            with (arrived / row["name"]).open("rb") as piece:
                shutil.copyfileobj(piece, out, CHUNK_BYTES)
    if not _is(unfinished, wanted["whole"]):
        unfinished.unlink()
        print(f"the joined {target.name} has another hash: send all pieces again", file=sys.stderr)
        shutil.rmtree(arrived)
        return 1
    unfinished.replace(target)
    shutil.rmtree(arrived)
    print(f"{target} is there")
    return 0


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is(path: Path, row: dict[str, Any]) -> bool:
    return path.stat().st_size == row["bytes"] and sha256_of(path) == row["sha256"]


def _copy(file: Any, out: Any, count: int) -> None:
    while count > 0 and (data := file.read(min(count, CHUNK_BYTES))):
        out.write(data)
        count -= len(data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    cut = commands.add_parser("split")
    cut.add_argument("source", type=Path)
    cut.add_argument("--into", type=Path, required=True)
    cut.add_argument("--pieces", type=int, default=8)
    put = commands.add_parser("join")
    put.add_argument("folder", type=Path)
    put.add_argument("--to", type=Path, required=True)
    put.add_argument("--moved", action="store_true", help="take pieces out of FOLDER instead of copying them")
    options = parser.parse_args()
    if options.command == "join":
        return join(options.folder, options.to, options.moved)
    description = split(options.source, options.into, options.pieces)
    largest = max(row["bytes"] for row in json.loads(description.read_text())["pieces"])
    print(f"{description}: {options.pieces} pieces of at most {largest / 2**20:.1f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
