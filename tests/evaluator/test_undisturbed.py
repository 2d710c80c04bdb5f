"""Time without the waiting for a core."""

import multiprocessing
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.evaluator.undisturbed import Account, OwnAccount, Stopwatch, account_of, undisturbed_ns

START = Account(wall_ns=1000, wait_ns=50, used_ns=7)


def after(wall: int, wait: int, used: int) -> Account:
    return Account(START.wall_ns + wall, START.wait_ns + wait, START.used_ns + used)


@pytest.mark.parametrize(
    ("wall", "wait", "used", "threads", "expected"),
    [
        (100, 0, 100, 1, 100),  # alone on its core
        (100, 60, 40, 1, 40),  # another program had the core for 60
        (100, 0, 10, 1, 100),  # asleep for 90: that is its own time
        (100, 90, 100, 1, 100),  # its main thread waited for its own second thread
        (100, 60, 160, 2, 80),  # two cores, 160 of work
        (100, 0, 400, 2, 100),  # more work than two cores can do: never above the wall clock
        (100, 120, 0, 1, 1),  # an account that cannot be: still a time
    ],
)
def test_waiting_is_taken_off_and_work_is_not(wall: int, wait: int, used: int, threads: int, expected: int):
    assert undisturbed_ns(START, after(wall, wait, used), threads) == expected


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 8))
def test_the_result_is_a_time_and_never_above_the_wall_clock(wall: int, wait: int, used: int, threads: int):
    found = undisturbed_ns(START, after(wall, wait, used), threads)
    assert 0 < found <= wall
    assert found >= min(wall, used // threads)


def test_own_and_foreign_accounts_agree_on_processor_time():
    own = OwnAccount()
    before, foreign_before = own.begin(), account_of(os.getpid())
    while time.process_time_ns() - before.used_ns < 20_000_000:
        pass
    ended, foreign_ended = own.end(), account_of(os.getpid())
    used = ended.used_ns - before.used_ns
    assert foreign_ended.used_ns - foreign_before.used_ns == pytest.approx(used, rel=0.5)
    assert undisturbed_ns(before, ended, 1) >= min(used, ended.wall_ns - before.wall_ns) - 1


def test_the_account_of_a_process_that_is_gone_has_no_numbers():
    child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(0,))
    child.start()
    child.join()
    assert child.pid is not None
    gone = account_of(child.pid)
    assert (gone.wait_ns, gone.used_ns) == (0, 0)


@pytest.mark.parametrize("is_shared", [True, False])
def test_a_stopwatch_gives_a_time_and_never_more_than_the_wall_clock(is_shared: bool):
    watch = Stopwatch(os.getpid(), 1, is_shared=is_shared)
    began = time.perf_counter_ns()
    watch.start()
    time.sleep(0.002)
    found = watch.stop()
    assert 0 < found <= time.perf_counter_ns() - began
    watch.close()
