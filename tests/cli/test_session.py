import asyncio
import os
import signal

import pytest

from assay.cli.session import drive, terminable
from assay.core.errors import Interrupted, UsageError


def test_sigterm_ends_what_blocks_and_the_handler_is_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 1)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("sent", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Interrupted)])
def test_a_signal_cancels_the_work_after_its_cleanup(tmp_path, sent, raised):
    closed = []

    async def work():
        try:
            os.kill(os.getpid(), sent)
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    with pytest.raises(raised, match="before anything was begun"):
        drive(work(), tmp_path)
    assert closed == [True]


def test_failures_of_the_work_come_out_as_they_are(tmp_path):
    async def work():
        raise UsageError("no")

    with pytest.raises(UsageError, match="no"):
        drive(work(), tmp_path)
