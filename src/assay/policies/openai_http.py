"""Requests to a server: one key, a limit on how many are under way, retries, and failures in words.

The key travels in the Authorization header only. Whatever a server says is quoted without it, should it repeat it.
"""

import asyncio
import json
import logging
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from assay.core.environment import redacted, variable
from assay.core.errors import PolicyError, UsageError
from assay.policies.openai_settings import Address, ServerSettings

log = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"
CONNECT_TIMEOUT_S = 10.0
LOOK_TIMEOUT_S = 30.0  # for what a server knows without its model
LONGEST_BACKOFF_S = 60.0
LONGEST_WAIT_S = 600.0  # what a server may ask for in Retry-After
QUOTED_CHARACTERS = 300
BUSY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


@dataclass(frozen=True)
class Reply:
    """What a server answered: its status, and the JSON of its body (None for a failure without any)."""

    status: int
    body: Any
    complaint: str

    @property
    def is_ok(self) -> bool:
        """The request was done."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class _Failure:
    """A try that may be repeated. wait_s: what the server asked for."""

    reason: str
    is_worth_repeating: bool = True
    wait_s: float | None = None


class Link:
    """The connection to one server. May be used from one event loop after another."""

    def __init__(self, address: Address, settings: ServerSettings) -> None:
        self._address, self._settings = address, settings
        self._bound: tuple[asyncio.AbstractEventLoop, httpx.AsyncClient, asyncio.Semaphore] | None = None
        self.is_starting = True  # a server that is not there at the start is a mistake, and no failure to wait for

    async def get(self, path: str) -> Reply:
        """GET of a path under the base URL, or under the root if it begins with a slash."""
        return await self._request("GET", path, None, self._settings.retries)

    async def ask(self, path: str) -> dict[str, Any]:
        """What a path says that only some servers have; an empty table if nothing, or anything else, is there."""
        try:
            reply = await self._request("GET", path, None, retries=0)
        except PolicyError as error:
            log.info("%s", error)
            return {}
        return reply.body if reply.is_ok and isinstance(reply.body, dict) else {}

    async def post(self, path: str, body: dict[str, Any]) -> Reply:
        """POST of a JSON body; see `get` for the path.

        A refusal (4xx) is a reply. UsageError for a key that is not accepted, PolicyError for a server that fails
        again and again.
        """
        return await self._request("POST", path, body, self._settings.retries)

    async def close(self) -> None:
        """Ends idle connections."""
        if self._bound is not None and self._bound[0] is asyncio.get_running_loop():
            await self._bound[1].aclose()
        self._bound = None

    async def _request(self, method: str, path: str, body: dict[str, Any] | None, retries: int) -> Reply:
        base = self._address.root_url if path.startswith("/") else f"{self._address.base_url}/"
        client, gate = self._client()
        attempt = 0
        while True:
            async with gate:
                outcome = await self._try(client, method, f"{base}{path}", body)
            if isinstance(outcome, Reply):
                return outcome
            if not outcome.is_worth_repeating or attempt == retries:
                tries = "" if attempt == 0 else f" ({attempt + 1} tries)"
                raise PolicyError(f"{self._address.base_url}: {outcome.reason}{tries}")
            delay_s = self._delay_s(attempt, outcome)
            log.info("%s; trying again in %.1f s", outcome.reason, delay_s)
            await asyncio.sleep(delay_s)
            attempt += 1

    async def _try(
        self, client: httpx.AsyncClient, method: str, url: str, body: dict[str, Any] | None
    ) -> Reply | _Failure:
        patience_s = min(self._settings.timeout_s, LOOK_TIMEOUT_S) if body is None else self._settings.timeout_s
        try:
            response = await client.request(
                method, url, json=body, timeout=httpx.Timeout(patience_s, connect=CONNECT_TIMEOUT_S)
            )
        except httpx.ConnectError as error:
            advice = "is it started, and is the port right?"
            return _Failure(f"no server answers there ({error or 'no connection'}): {advice}", not self.is_starting)
        except httpx.ConnectTimeout:
            return _Failure(f"no connection within {CONNECT_TIMEOUT_S:.0f} s", not self.is_starting)
        except httpx.TimeoutException:
            advice = "allow more with --set server.timeout_s=..., or ask for less at once (server.concurrency)"
            return _Failure(f"no answer within {patience_s:g} s; {advice}")
        except httpx.TransportError as error:
            return _Failure(f"the connection broke off ({redacted(str(error)) or type(error).__name__})")
        except httpx.InvalidURL as error:
            raise UsageError(f"--model openai:NAME@URL: {error}") from None
        return self._read(response)

    def _read(self, response: httpx.Response) -> Reply | _Failure:
        if response.status_code in (401, 403):
            raise UsageError(self._unauthorized(response))
        try:
            body = response.json()
        except (json.JSONDecodeError, UnicodeDecodeError):
            body = None
        complaint = redacted(_complaint(body, response.text))
        if response.status_code in BUSY:
            return self._busy(response, complaint)
        if body is None and response.is_success:
            begin = redacted(response.text[:QUOTED_CHARACTERS])
            return _Failure(f"the answer is no JSON, so this is no OpenAI-compatible server: it begins {begin!r}")
        return Reply(response.status_code, body, complaint)

    def _busy(self, response: httpx.Response, complaint: str) -> _Failure:
        wait_s = _retry_after_s(response.headers.get("retry-after"))
        if response.status_code == 429:
            asked = "" if wait_s is None else f" and asks to wait {wait_s:.0f} s"
            advice = "lower server.concurrency, or go on later"
            is_short = wait_s is None or wait_s <= LONGEST_WAIT_S
            return _Failure(f"the server limits the rate of requests{asked} ({complaint}); {advice}", is_short, wait_s)
        return _Failure(f"the server fails with status {response.status_code}: {complaint}", wait_s=wait_s)

    def _unauthorized(self, response: httpx.Response) -> str:
        asked = f"{self._address.base_url} does not accept the key (status {response.status_code})"
        if variable(KEY_VARIABLE) is None:
            return f"{asked}: none was sent; set {KEY_VARIABLE} in the environment or in the file .env"
        return f"{asked}: {KEY_VARIABLE} holds another server's key, or one without access to this model"

    def _delay_s(self, attempt: int, failure: _Failure) -> float:
        """Doubling, with a random part so that many requests do not come back together; at least what was asked."""
        backoff_s = min(self._settings.backoff_s * 2**attempt, LONGEST_BACKOFF_S)
        return max(failure.wait_s or 0.0, backoff_s * random.uniform(0.5, 1.0))

    def _client(self) -> tuple[httpx.AsyncClient, asyncio.Semaphore]:
        """The client of the running loop: its connections belong to one loop and are of no use in another."""
        loop = asyncio.get_running_loop()
        if self._bound is None or self._bound[0] is not loop:
            key = variable(KEY_VARIABLE)
            client = httpx.AsyncClient(
                headers={} if key is None else {"Authorization": f"Bearer {key}"},
                timeout=None,  # every request has one of its own
                limits=httpx.Limits(max_connections=self._settings.concurrency),
            )
            self._bound = (loop, client, asyncio.Semaphore(self._settings.concurrency))
        return self._bound[1], self._bound[2]


def _complaint(body: Any, text: str) -> str:
    """What a server says is wrong: `error.message`, `error`, `message` or `detail`, else the beginning of its text."""
    said: Any = None
    if isinstance(body, dict):
        said = body.get("error") or body.get("message") or body.get("detail")
        if isinstance(said, dict):
            said = said.get("message") or said
    words = text if said is None else said if isinstance(said, str) else json.dumps(said)
    return " ".join(words.split())[:QUOTED_CHARACTERS] or "no reason given"


def _retry_after_s(header: str | None) -> float | None:
    """The seconds of a Retry-After header, which holds a number or a date; None if it holds neither."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
