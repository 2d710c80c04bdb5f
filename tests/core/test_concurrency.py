"""Several coroutines at once."""

import asyncio

import pytest

from assay.core.concurrency import together


@pytest.mark.parametrize(("at_once", "most"), [(None, 6), (2, 2)])
def test_results_come_in_order_and_no_more_are_under_way_than_allowed(at_once, most):
    under_way, seen = 0, []

    async def one(number: int) -> int:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await asyncio.sleep(0.001 * (6 - number))
        under_way -= 1
        return number

    assert asyncio.run(together([one(n) for n in range(6)], at_once)) == list(range(6))
    assert max(seen) == most


@pytest.mark.parametrize("at_once", [None, 2])
def test_the_first_failure_ends_the_rest_and_comes_out_alone(at_once):
    finished = []

    async def one(number: int) -> None:
        await asyncio.sleep(0.001 if number == 0 else 5)
        if number == 0:
            raise LookupError("the first")
        finished.append(number)

    with pytest.raises(LookupError, match="the first"):
        asyncio.run(together([one(n) for n in range(2)], at_once))
    assert not finished
