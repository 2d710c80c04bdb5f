import torch

from assay.policies.packing import fitting, pack

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


def test_as_many_completions_fit_as_the_limit_holds_and_at_least_one() -> None:
    assert fitting([], 5) == 0
    assert fitting([2, 3, 1], 5) == 2
    assert fitting([9, 1], 5) == 1
    assert fitting([1, 1, 1], 1) == 1
    assert fitting([1, 1, 1], 9) == 3
