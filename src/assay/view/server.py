"""The local server: loopback only, GET and HEAD only, no cookies, no state, and no path made from a request.

Who may ask: any program on this machine can reach a loopback port, other users' too, so a shared machine shows the
folder to all who have an account there. Pages of the web cannot: the name in the Host header must be that of this
machine (a name that somebody else's DNS points here is refused), answers may not be read, framed or run by other
origins, and a request that a page elsewhere makes in the background is refused. The content security policy lets pages
load their one script and their one style sheet alone, so that a text that slipped through unescaped would do nothing.

A request may take 10 s and 64 KiB, one thread each, 32 at once.
"""

import http.client
import io
import json
import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from assay.core.errors import AssayError, UsageError
from assay.view.folder import NotServedError, RunFolder
from assay.view.listing import Listing
from assay.view.pages import Pages, Query

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
HOST_NAMES = ("127.0.0.1", "localhost", "[::1]")
REQUEST_S = 10.0
REQUEST_BYTES = 65_536
CONNECTIONS = 32
STATIC = {
    "view.css": "text/css; charset=utf-8",
    "view.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


# The report carries its scripts and a policy of its own that names them by hash. Here it is also put into a sandbox: an
# origin of its own, from which it can read nothing of this server.
REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Answer(NamedTuple):
    """What is sent back. headers: more of them, over the ones that every answer has."""

    status: HTTPStatus
    kind: str
    body: bytes
    headers: dict[str, str]


class ViewServer(ThreadingHTTPServer):
    """Serves one folder on a loopback port; 0 is any free one."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, root: Path, port: int) -> None:
        """UsageError for a folder that is none, and for a port that is taken."""
        self.folder = RunFolder(root)
        self.listing = Listing(self.folder)
        self.pages = Pages(self.folder, self.listing)
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UsageError(f"port {port}: {error.strerror}. Name another one with --port, or 0 for any") from None

    @property
    def address(self) -> str:
        """Where the list is."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """One thread a connection, but no more than CONNECTIONS: others are closed."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Gives the place back when the connection ends in any way."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or was too slow, is no error of ours."""
        log.debug("a connection from %s failed", client_address, exc_info=True)


class _Metered(io.RawIOBase):
    """Reads a request's lines, up to REQUEST_BYTES of them."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._left = stream, REQUEST_BYTES

    def readline(self, size: int | None = -1, /) -> bytes:
        limit = self._left + 1 if size is None or size < 0 else min(size, self._left + 1)
        line = self._stream.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("request")
        return line

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Handler(BaseHTTPRequestHandler):
    """One request: checked, answered, closed."""

    timeout = REQUEST_S
    server_version, sys_version = "assay", ""

    def setup(self) -> None:
        super().setup()
        # The socket's timeout is for each read: a client that sends a byte now and then is ended by the clock.
        self._clock = threading.Timer(REQUEST_S, self._end)
        self._clock.daemon = True
        self._clock.start()
        self.rfile: Any = _Metered(self.rfile)

    def finish(self) -> None:
        self._clock.cancel()
        super().finish()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except http.client.LineTooLong:  # in the first line; in others the parser has answered
            self.requestline, self.request_version, self.command = "", self.default_request_version, ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
            self.close_connection = True

    def do_GET(self) -> None:
        """Answers with a page, a file of ours, a program or a JSON document."""
        self._clock.cancel()
        self._send(self._checked())

    do_HEAD = do_GET

    def _refuse_method(self) -> None:
        self._send(self._problem(HTTPStatus.METHOD_NOT_ALLOWED, "nothing can be changed here: GET and HEAD only"))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_CONNECT = do_TRACE = _refuse_method

    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class's own refusals, without echoing anything of the request."""
        status = HTTPStatus(code)
        self._send(Answer(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode(), {}))

    @property
    def _view(self) -> ViewServer:
        assert isinstance(self.server, ViewServer)
        return self.server

    # -- answers ------------------------------------------------------------------------------------------------

    def _checked(self) -> Answer:
        host = self.headers.get("Host", "")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if len(self.headers.get_all("Host", [])) != 1 or name.lower() not in HOST_NAMES:
            return self._problem(HTTPStatus.MISDIRECTED_REQUEST, f"this server answers to {', '.join(HOST_NAMES)} only")
        is_foreign = self.headers.get("Sec-Fetch-Site", "none") in ("cross-site", "same-site")
        if is_foreign and self.headers.get("Sec-Fetch-Mode") != "navigate":
            return self._problem(HTTPStatus.FORBIDDEN, "asked for by another page")
        try:
            return self._answer()
        except NotServedError as error:
            return self._problem(HTTPStatus.NOT_FOUND, str(error))
        except UsageError as error:
            return self._problem(HTTPStatus.BAD_REQUEST, str(error))
        except AssayError as error:
            return self._problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except Exception as error:  # the boundary: whatever a stored run makes fail costs one answer
            log.warning("%s failed", self.path[:200], exc_info=error)
            message = f"what is stored there cannot be shown ({type(error).__name__})"
            return self._problem(HTTPStatus.INTERNAL_SERVER_ERROR, message)

    def _answer(self) -> Answer:
        asked = urlsplit(self.path)
        try:
            values = parse_qs(asked.query, keep_blank_values=True, max_num_fields=64, errors="strict")
        except (ValueError, UnicodeDecodeError):
            raise UsageError("the address cannot be read") from None
        query = Query(values)
        pages: dict[str, Callable[[Query], str]] = {
            "/": self._view.pages.runs,
            "/run": self._view.pages.run,
            "/samples": self._view.pages.samples,
            "/candidate": self._view.pages.candidate,
            "/compare": self._view.pages.comparison,
        }
        if asked.path in pages:
            return _html(pages[asked.path](query))
        if asked.path == "/report":
            body = self._view.pages.report(query)
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", body, {"Content-Security-Policy": REPORT_POLICY})
        if asked.path == "/candidate.py":
            return self._program(query)
        if asked.path in ("/api/runs", "/api/run"):
            return self._document(query if asked.path == "/api/run" else None)
        name = asked.path.removeprefix("/static/")
        if asked.path.startswith("/static/") and name in STATIC:
            body = resources.files("assay.view").joinpath("static", name).read_bytes()
            return Answer(HTTPStatus.OK, STATIC[name], body, {})
        raise NotServedError("there is no such page")

    def _program(self, query: Query) -> Answer:
        source = self._view.pages.source(query)
        name = "".join(letter for letter in query.one("hash") if letter in "0123456789abcdef")
        headers = {"Content-Disposition": f'attachment; filename="{name}.py"'}
        return Answer(HTTPStatus.OK, "text/plain; charset=utf-8", source.encode(errors="replace"), headers)

    def _document(self, query: Query | None) -> Answer:
        if query is None:
            runs = self._view.listing.runs()
        else:
            if query.one("run") not in self._view.folder.names():
                raise NotServedError("there is no such run in this folder")
            runs = [self._view.listing.run(query.one("run"))]
        body = json.dumps({"runs": [run.model_dump(mode="json") for run in runs]}, allow_nan=False)
        return Answer(HTTPStatus.OK, "application/json", body.encode(), {})

    def _problem(self, status: HTTPStatus, message: str) -> Answer:
        return _html(self._view.pages.error(status.phrase, message), status)

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        try:
            self.send_response(answer.status)
            headers = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body)), "Connection": "close"}
            if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
                headers["Allow"] = "GET, HEAD"
            for name, value in {**headers, **SECURITY_HEADERS, **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            log.debug("the client has gone")

    def _end(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            log.debug("the connection has ended already")


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, "text/html; charset=utf-8", text.encode(errors="replace"), {})
