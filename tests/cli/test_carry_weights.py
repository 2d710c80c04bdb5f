"""benchmarks/carry_weights.py: a file in pieces arrives whole, or not at all."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "carry_weights.py"
CONTENT = bytes(range(256)) * 40 + b"end"


@pytest.fixture
def carry(monkeypatch):
    specification = importlib.util.spec_from_file_location("carry_weights", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["carry_weights.py", *map(str, arguments)])
        return module.main()

    return run


@pytest.fixture
def pieces(carry, tmp_path):
    source = tmp_path / "model.gguf"
    source.write_bytes(CONTENT)
    assert carry("split", source, "--into", tmp_path / "pieces", "--pieces", 3) == 0
    return sorted((tmp_path / "pieces").glob("model.gguf.0*"))


def test_pieces_that_arrive_one_by_one_make_the_file(carry, pieces, tmp_path):
    arriving, place = tmp_path / "arriving", tmp_path / "place"
    arriving.mkdir()
    (pieces[0].parent / "model.gguf.pieces.json").rename(arriving / "model.gguf.pieces.json")
    codes = []
    for piece in reversed(pieces):
        piece.rename(arriving / piece.name)
        codes.append(carry("join", arriving, "--to", place, "--moved"))
    assert codes == [3, 3, 0]
    assert (place / "model.gguf").read_bytes() == CONTENT
    assert [path.name for path in place.iterdir()] == ["model.gguf"]
    assert carry("join", arriving, "--to", place) == 0  # again: it is there


def test_a_piece_that_was_changed_on_the_way_is_refused(carry, pieces, tmp_path, capsys):
    pieces[1].write_bytes(b"\0" + pieces[1].read_bytes()[1:])
    assert carry("join", pieces[0].parent, "--to", tmp_path / "place") == 1
    assert pieces[1].name in capsys.readouterr().err and not (tmp_path / "place" / "model.gguf").exists()
