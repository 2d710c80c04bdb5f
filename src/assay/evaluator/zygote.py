"""The warm process that runners are forked from: it has imported torch, holds no secret, and runs no candidate.

Started by the judge as `python -m assay.evaluator.zygote`, with one end of a socket pair as standard input. One command a
message: {"op": "fork", "options": {...}} with the runner's socket; {"op": "status", "pid": P}. When the judge goes away the zygote
kills every runner and ends.
"""

import contextlib
import os
import select
import signal
import socket
import sys
from typing import Any

import torch  # noqa: F401  (imported here so that every fork has it)
import torch.nn.functional  # noqa: F401

from assay.evaluator import runner, sandbox
from assay.evaluator.channel import Channel, ChannelClosed


def main() -> None:
    """Serves the judge on standard input until it hangs up."""
    control = Channel(socket.socket(fileno=os.dup(0)))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the judge, which then ends us in order
    sandbox.become_subreaper()
    alive: set[int] = set()
    ended: dict[int, int] = {}
    try:
        control.send({"ready": True})
        while True:
            _reap(alive, ended)
            if not select.select([control.fileno], [], [], 0.5)[0]:
                continue
            message, descriptors = control.receive()
            if message["op"] == "fork":
                pid, tiers = _fork_runner(message["options"], descriptors[0], control.fileno)
                os.close(descriptors[0])
                alive.add(pid)
                control.send({"pid": pid, "sandbox": tiers})
            else:
                _reap(alive, ended)
                control.send({"status": ended.pop(message["pid"], None)})
    except ChannelClosed:
        pass
    finally:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _reap(alive: set[int], ended: dict[int, int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid in alive:
            alive.discard(pid)
            ended[pid] = os.waitstatus_to_exitcode(status)


def _fork_runner(options: dict[str, Any], descriptor: int, control: int) -> tuple[int, list[str]]:
    """Forks twice: the first child enters new namespaces and hands over, so that the second is first in them.

    Returns the runner's process id as seen from here, and the tiers in force so far.
    """
    report_in, report_out = os.pipe()
    hold_in, hold_out = os.pipe()
    middle = os.fork()
    if middle == 0:
        tier = sandbox.enter_namespaces(may_use_user_namespace=not options["is_cuda"])
        pid = os.fork()
        if pid == 0:
            os.close(hold_out)
            os.read(hold_in, 1)  # until the middle process has gone and the zygote is our parent
            os.close(hold_in)
            sandbox.die_with_parent()
            _become_runner(options, descriptor)
        os.write(report_out, f"{pid} {tier or ''}".encode())
        os._exit(0)
    os.close(report_out)
    os.close(hold_in)
    report = os.read(report_in, 64).decode().split()
    os.close(report_in)
    os.waitpid(middle, 0)
    os.close(hold_out)
    return int(report[0]), report[1:]


def _become_runner(options: dict[str, Any], descriptor: int) -> None:
    code = 1
    try:
        os.setsid()
        os.dup2(descriptor, 3)
        os.closerange(4, 4096)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)
        runner.serve(Channel(socket.socket(fileno=3)), options)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
    sys.exit(0)
