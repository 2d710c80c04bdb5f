"""Searches its own memory for the source of the reference, which a fork may have left there, and reports a find."""

import re

from torch import nn

NEEDLE = b"class Mod" + b"el(nn.Module)"


def finds():
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"(\w+)-(\w+) rw.*?(\[heap\])?$", line.strip())
            if match and (match[3] or line.strip().endswith(" 0")):
                start, end = int(match[1], 16), int(match[2], 16)
                if end - start <= 64 * 2**20:
                    try:
                        memory.seek(start)
                        block = memory.read(end - start) or b""
                    except (OSError, OverflowError, ValueError):
                        continue
                    at = block.find(NEEDLE)
                    while at >= 0:
                        text = block[at : at + 400]
                        if b"def get_inp" + b"uts" in text and b"(a @ b) @ c" in text:
                            yield text
                        at = block.find(NEEDLE, at + 1)


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        try:
            found = next(finds(), None)
        except OSError:
            found = None
        if found:
            raise RuntimeError("redteam escape: the source of the reference is in the candidate's memory")

    def forward(self, a, b, c):
        return (a @ b) @ c
