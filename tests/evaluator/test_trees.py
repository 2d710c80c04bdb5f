"""Nested values: taken apart and put together, and what is refused."""

import gc
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluator.trees import UnsupportedValue, flatten, unflatten

leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text())
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(values)
def test_plain_values_come_back_as_they_were(value: Any):
    skeleton, tensors = flatten(value)
    assert unflatten(skeleton, tensors) == value


def test_tensors_keep_their_places():
    a, b = torch.ones(1), torch.zeros(2)
    skeleton, tensors = flatten({"x": [a, (b, 3)]})
    assert tensors == [a, b]
    assert unflatten(skeleton, ["first", "second"]) == {"x": ["first", ("second", 3)]}  # type: ignore[list-item]


class Lazy(torch.Tensor):
    pass


@pytest.mark.parametrize("value", [object(), torch.ones(1).as_subclass(Lazy), {1, 2}, b"bytes"])
def test_what_could_run_code_when_read_is_refused(value: Any):
    with pytest.raises(UnsupportedValue):
        flatten([value])


def test_endless_nesting_is_refused():
    value: list = []
    value.append(value)
    with pytest.raises(UnsupportedValue, match="deep"):
        flatten(value)


def test_numbers_that_json_lacks_become_text():
    assert flatten(float("nan"))[0] == {"v": "nan"}


def test_tensors_are_freed_without_the_garbage_collector():
    tensor = torch.ones(4)
    freed = weakref.ref(tensor)
    gc.disable()
    try:
        flatten([tensor])
        del tensor
        assert freed() is None
    finally:
        gc.enable()


class Later(tuple):
    """Claims to hold what it computes when it is asked."""

    def __len__(self) -> int:
        return 1

    def __iter__(self):
        yield torch.ones(2)


def test_a_tuple_that_makes_its_items_when_asked_is_taken_for_what_it_holds():
    assert flatten(Later()) == ({"tuple": []}, [])


def test_a_named_tuple_is_a_tuple():
    found = torch.max(torch.eye(2), dim=1)
    skeleton, tensors = flatten(found)
    assert skeleton == {"tuple": [{"t": 0}, {"t": 1}]} and torch.equal(tensors[0], found.values)
