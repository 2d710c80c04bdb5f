"""The warm process that runners are forked from: it has imported torch, holds no secret, and runs no candidate.

Started by the judge as `python -m assay.evaluator.zygote`, with one end of a socket pair as standard input. One command
a message: {"op": "fork", "options": {...}} with the runner's socket; {"op": "status", "pid": P}. When the judge goes
away the zygote kills every runner and ends.
"""

import contextlib
import gc
import os
import select
import shutil
import signal
import socket
import sys
from typing import Any

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
    has_namespaces = "--cuda" not in sys.argv and sandbox.may_unshare()
    gc.collect()
    gc.freeze()  # what is here now is never looked at again: a fork does not copy its pages
    alive: set[int] = set()
    ended: dict[int, int] = {}
    try:
        control.send({"ready": True})
        while True:
            _reap(alive, ended)
            if not select.select([control.fileno], [], [], 0.05)[0]:
                continue
            message, descriptors = control.receive()
            if message["op"] == "fork":
                pid = _fork_runner(message["options"], descriptors[0], has_namespaces=has_namespaces)
                os.close(descriptors[0])
                alive.add(pid)
                control.send({"pid": pid})
            else:
                _reap(alive, ended)
                control.send({"status": ended.pop(message["pid"], None)})
    except ChannelClosed:
        pass
    finally:
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(os.getcwd(), ignore_errors=True)  # ours: the judge may have gone without a word


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


def _fork_runner(options: dict[str, Any], descriptor: int, *, has_namespaces: bool) -> int:
    """Forks a runner and returns its process id as seen from here."""
    pid = sandbox.fork_in_namespace() if has_namespaces else os.fork()
    if pid == 0:
        _become_runner(options, descriptor, has_namespaces=has_namespaces)
    return pid


def _become_runner(options: dict[str, Any], descriptor: int, *, has_namespaces: bool) -> None:
    code = 1
    try:
        sandbox.die_with_parent()
        os.setsid()
        tiers = sandbox.enter_namespaces(has_own_processes=has_namespaces)
        os.dup2(descriptor, 3)
        os.closerange(4, 4096)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)
        runner.serve(Channel(socket.socket(fileno=3)), options, tiers)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
    sys.exit(0)
