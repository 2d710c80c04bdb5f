"""Messages between the judge, the zygote and a runner: length-prefixed JSON over a Unix socket, with file descriptors.

Both sides use this module, and the judge reads from programs it does not trust: nothing is unpickled, a message has a
size limit, and every read has a deadline.
"""

import json
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_DESCRIPTORS = 16
_HEADER = struct.Struct("!I")
_TICK_S = 0.05


class ChannelClosed(Exception):
    """The other side has gone."""


class ChannelTimeout(Exception):
    """No whole message came before the deadline."""


class ProtocolViolation(Exception):
    """The other side sent something that is not a message."""


class Channel:
    """One end of a connection; owns its socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    @property
    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def send(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        """Writes one message; `descriptors` are duplicated into the other process."""
        body = json.dumps(message).encode()
        data = _HEADER.pack(len(body)) + body
        try:
            if descriptors:
                sent = socket.send_fds(self._sock, [data], list(descriptors))
                data = data[sent:]
            self._sock.sendall(data)
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(
        self, timeout_s: float | None = None, tick: Callable[[], None] | None = None
    ) -> tuple[dict[str, Any], list[int]]:
        """Reads one message and the descriptors that came with it.

        `tick` is called about every 50 ms while waiting and may raise to give up (a watchdog).
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        length = _HEADER.unpack(self._read(_HEADER.size, deadline, tick))[0]
        if length > MAX_MESSAGE_BYTES:
            raise ProtocolViolation(f"a message of {length} bytes")
        body = self._read(length, deadline, tick)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise ProtocolViolation("a message that is not JSON") from error
        if not isinstance(message, dict):
            raise ProtocolViolation("a message that is not an object")
        descriptors, self._descriptors = self._descriptors, []
        return message, descriptors

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()

    def _read(self, size: int, deadline: float | None, tick: Callable[[], None] | None) -> bytes:
        while len(self._buffer) < size:
            self._wait(deadline, tick)
            try:
                data, descriptors, _flags, _address = socket.recv_fds(self._sock, 1 << 16, MAX_DESCRIPTORS)
            except OSError as error:
                raise ChannelClosed(str(error)) from error
            if not data:
                raise ChannelClosed("end of stream")
            self._descriptors += descriptors
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _wait(self, deadline: float | None, tick: Callable[[], None] | None) -> None:
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        while True:
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise ChannelTimeout
            wait_s = left_s if tick is None else min(_TICK_S, left_s if left_s is not None else _TICK_S)
            if poller.poll(None if wait_s is None else max(1.0, wait_s * 1000)):
                return
            if tick is not None:
                tick()


def pair() -> tuple[Channel, socket.socket]:
    """A connected pair: our end as a channel, the other end as a socket to hand over."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return Channel(ours), theirs
