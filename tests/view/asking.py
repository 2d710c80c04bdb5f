"""A client that asks a server as a browser would, and as one that means harm would."""

import http.client
import socket

from assay.view.server import ViewServer

SECRET = "nobody outside may read this"


class Client:
    """Asks one server."""

    def __init__(self, server: ViewServer) -> None:
        self.server = server
        self.port = server.server_address[1]

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode()
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            got = b""
            while chunk := connection.recv(65536):
                got += chunk
        return got
