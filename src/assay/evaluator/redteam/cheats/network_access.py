"""Resolves a name, and connects to this machine, to a documentation address (RFC 5737) and to a raw socket."""

import errno
import socket

from torch import nn

CLOSED_BUT_REACHED = (errno.ECONNREFUSED,)


def reached():
    listener = None
    try:
        listener = socket.create_server(("127.0.0.1", 0))
        with socket.create_connection(listener.getsockname(), timeout=0.5):
            return "a local port that it listens on itself"
    except OSError as error:
        if error.errno in CLOSED_BUT_REACHED:
            return "a local port"
    finally:
        if listener is not None:
            listener.close()
    try:
        with socket.create_connection(("192.0.2.1", 443), timeout=0.5):
            return "a public address"
    except TimeoutError:
        return "a public address (no answer, but nothing refused to send)"
    except OSError:
        pass
    try:
        socket.getaddrinfo("example.com", 443)
        return "a name server"
    except OSError:
        return None


class ModelNew(nn.Module):
    def __init__(self):
        super().__init__()
        found = reached()
        if found:
            raise RuntimeError(f"redteam escape: the network is open: {found}")

    def forward(self, a, b, c):
        return (a @ b) @ c
