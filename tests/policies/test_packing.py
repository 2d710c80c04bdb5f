import torch

from assay.policies.packing import in_chunks, pack

CPU = torch.device("cpu")


def test_completions_share_the_prompt_and_see_nothing_of_each_other() -> None:
    packed = pack([10, 11], [[20, 21, 22], [30], [40, 41]], CPU)
    assert packed.ids_1L.tolist() == [[10, 11, 20, 21, 40]]
    assert packed.positions_1L.tolist() == [[0, 1, 2, 3, 2]]
    assert packed.places_N.tolist() == [1, 2, 3, 1, 1, 4]
    assert packed.targets_N.tolist() == [20, 21, 22, 30, 40, 41]
    assert packed.mask_11LL is not None
    assert packed.mask_11LL[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]


def test_one_completion_is_plain_causal_attention() -> None:
    packed = pack([10, 11], [[20, 21]], CPU)
    assert packed.mask_11LL is None
    assert packed.ids_1L.tolist() == [[10, 11, 20]]
    assert packed.places_N.tolist() == [1, 2]


def test_chunks_keep_the_order_and_the_limit() -> None:
    assert in_chunks([], 5) == []
    assert in_chunks([2, 3, 1, 9, 1], 5) == [[0, 1], [2], [3], [4]]
    assert in_chunks([1, 1, 1], 1) == [[0], [1], [2]]
