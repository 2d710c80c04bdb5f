"""Never finishes its import, with every signal that can be blocked or ignored blocked and ignored."""

import signal
import time

from torch import nn

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
end = time.monotonic() + 120
while time.monotonic() < end:
    time.sleep(0.5)
raise RuntimeError("nobody stopped the import")


class ModelNew(nn.Module):
    pass
