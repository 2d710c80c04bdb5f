import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.core.errors import UsageError
from assay.tasks.splits import Split, make_split, read_split, write_split

PUBLISHED_EVAL = [4, 5, 12, 14, 15, 18, 28, 29, 30, 32, 36, 55, 65, 70, 76, 82, 87, 89, 95, 98]


def test_seed_42_on_100_ids_gives_the_published_eval_ids():
    split = make_split("kernelbench/1", [str(number) for number in range(1, 101)], seed=42)
    assert [int(task_id) for task_id in split.eval] == PUBLISHED_EVAL
    assert len(split.train) == 80


def test_ids_that_are_not_all_numbers_are_sorted_as_text():
    split = make_split("starter", ["b", "10", "a", "9"], seed=0, train_fraction=1.0)
    assert split.train == ("10", "9", "a", "b")
    assert split.eval == ()


@given(st.lists(st.integers(1, 999), unique=True, max_size=40), st.integers(0, 99), st.floats(0, 1))
def test_halves_partition_the_ids_whatever_their_order(numbers, seed, fraction):
    ids = [str(number) for number in numbers]
    split = make_split("s", ids, seed, fraction)
    assert sorted((*split.train, *split.eval)) == sorted(ids)
    assert split == make_split("s", ids[::-1], seed, fraction)
    assert list(split.train) == sorted(split.train, key=int)


def test_a_fraction_that_floats_round_down_still_gives_whole_counts():
    split = make_split("s", [str(number) for number in range(100)], seed=0, train_fraction=0.57)
    assert len(split.train) == 57


def test_the_hash_names_the_division_and_not_how_it_was_made():
    first = Split(suite="s", seed=0, train_fraction=0.5, train=("1",), eval=("2",))
    assert first.hash == first.model_copy(update={"seed": 9}).hash
    assert first.hash != first.model_copy(update={"train": ("2",), "eval": ("1",)}).hash


def test_a_written_split_is_read_back_equal(tmp_path):
    split = make_split("starter", ["a", "b", "c"], seed=3)
    write_split(split, tmp_path / "split.json")
    assert read_split(tmp_path / "split.json") == split


def test_an_edited_split_file_is_refused_and_one_without_a_hash_is_not(tmp_path):
    path = tmp_path / "split.json"
    write_split(make_split("s", ["1", "2", "3"], seed=0), path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "eval": ["4"]}))
    with pytest.raises(UsageError, match="do not match"):
        read_split(path)
    del document["hash"]
    path.write_text(json.dumps(document))
    assert read_split(path).suite == "s"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"suite": "s"}', "\x00"])
def test_a_file_that_is_no_split_is_a_usage_error(tmp_path, text):
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(UsageError, match=r"split\.json"):
        read_split(tmp_path / "split.json")


def test_bad_arguments_are_usage_errors(tmp_path):
    with pytest.raises(UsageError, match="twice"):
        make_split("s", ["1", "1"], seed=0)
    with pytest.raises(UsageError, match=r"1\.5"):
        make_split("s", ["1"], seed=0, train_fraction=1.5)
    with pytest.raises(UsageError, match="no such split file"):
        read_split(tmp_path / "absent.json")


def test_an_id_on_both_sides_is_refused():
    with pytest.raises(ValueError, match="more than once"):
        Split(suite="s", seed=0, train_fraction=0.5, train=("1",), eval=("1",))
