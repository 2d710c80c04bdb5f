"""Shared tensors on the host."""

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluator.bundles import CpuBundle, Layout, plan

DTYPES = [
    torch.float32,
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.uint8,
    torch.bool,
]


def reopened(bundle: CpuBundle) -> CpuBundle:
    document, descriptors = bundle.handle()
    return CpuBundle.open(document, [os.dup(descriptor) for descriptor in descriptors])


@given(st.lists(st.tuples(st.lists(st.integers(0, 5), max_size=3), st.sampled_from(DTYPES)), max_size=4))
def test_values_arrive_whatever_the_shapes_and_types(forms: list[tuple[list[int], torch.dtype]]):
    tensors = [torch.randint(0, 2, shape).to(dtype) for shape, dtype in forms]
    ours = CpuBundle.create(plan(tensors))
    theirs = reopened(ours)
    for target, tensor in zip(ours.tensors, tensors, strict=True):
        target.copy_(tensor)
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(theirs.tensors, tensors, strict=True))
    ours.close()
    theirs.close()


def test_dense_strides_are_kept_and_others_made_contiguous():
    transposed, expanded = torch.ones(3, 4).T, torch.ones(3, 1).expand(3, 4)
    layout = plan([transposed, expanded])
    assert [slot.stride for slot in layout.slots] == [(1, 4), (4, 1)]


def test_a_layout_survives_json():
    layout = plan([torch.ones(2, 3), torch.zeros(0), torch.tensor(1)])
    assert Layout.from_json(layout.to_json()) == layout


def test_poison_is_nan_in_floating_point():
    bundle = CpuBundle.create(plan([torch.ones(3), torch.ones(3, dtype=torch.bfloat16)]))
    bundle.poison()
    assert all(tensor.isnan().all() for tensor in bundle.tensors)


def test_a_receiver_cannot_shrink_the_block():
    bundle = CpuBundle.create(plan([torch.ones(3)]))
    with pytest.raises(PermissionError):
        os.ftruncate(bundle.handle()[1][0], 0)
