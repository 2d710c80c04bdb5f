"""The `tinker` SDK at arm's length: where a server is, how it is reached, and what its failures are called here.

The SDK is an optional dependency, and two generations of it are in use: 0.24, which self-hosted servers understand, and
later ones, whose answers are in a format that only the hosted service gives. So it is imported when a model is loaded,
by `import_sdk` alone, and only calls that both generations have are made.
"""

import asyncio
import concurrent.futures
import importlib
import ipaddress
import logging
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from assay.core.environment import redacted, variable
from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import LoraConfig

log = logging.getLogger(__name__)

PREFIX = "tinker:"
DEFAULT_MODEL = "openai/gpt-oss-120b"
HOSTED_MODELS = (DEFAULT_MODEL,)  # names that mean this policy without the prefix
HOSTED_URL = "https://tinker.thinkingmachines.dev/services/tinker-prod"
KEY = "TINKER_API_KEY"
ALPHA = 32  # the scale of an adapter is alpha / rank; servers fix alpha and take no other
_NO_KEY = "tml-none"  # the SDK asks for a key of this form even where the server looks at none
_REACH_S = 10.0
_OTHER_PROTOCOL = "only supports as proto"


@dataclass(frozen=True)
class Address:
    """A model at a server. url: None for the hosted service."""

    model: str
    url: str | None

    @property
    def spec(self) -> str:
        """As written on the command line."""
        return f"{PREFIX}{self.model}" + (f"@{self.url}" if self.url else "")


def parse_model(spec: str) -> Address:
    """`tinker:NAME`, `tinker:NAME@URL`, or `tinker:` for the default model; TINKER_BASE_URL stands for a missing URL.

    Raises `UsageError` for what follows an "@" and is no URL.
    """
    name = spec.removeprefix(PREFIX)
    model, separator, url = name.rpartition("@")
    if not separator:
        base = variable("TINKER_BASE_URL")
        return Address(name or DEFAULT_MODEL, base.rstrip("/") if base else None)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"--model {spec}: write the server as a URL, for example {PREFIX}{model}@http://localhost:8000"
        )
    return Address(model or DEFAULT_MODEL, url.rstrip("/"))


def unique_name() -> str:
    """A name for something saved at a server; runs and processes never share one."""
    return f"assay-{uuid.uuid4().hex}"


def import_sdk() -> Any:
    """The module `tinker`. UsageError that names the extra where it is not installed."""
    try:
        return importlib.import_module("tinker")
    except ImportError as error:
        raise UsageError(
            f"tinker: models need the tinker SDK ({error}): pip install 'assay-lab[tinker]', "
            "or pip install tinker==0.24.1 for a self-hosted server"
        ) from None


class Connection:
    """A session at a server, for one base model."""

    def __init__(self, address: Address) -> None:
        """Raises `UsageError` without SDK, key or model, `PolicyError` where no server answers."""
        self.address = address
        self.sdk = import_sdk()
        key = _key(address)
        _check_reachable(address)
        options = {"base_url": address.url} if address.url else {}
        with self.named("connecting"):
            self._service = self.sdk.ServiceClient(api_key=key, **options)
            known = self._service.get_server_capabilities().supported_models
        self.context_tokens = self._context_tokens({one.model_name: one.max_context_length for one in known})

    def base_client(self) -> Any:
        """A sampling client of the unadapted model; blocks."""
        with self.named("opening the base model"):
            return self._now(self._service.create_sampling_client(base_model=self.address.model))

    def wait(self, future: Any, doing: str) -> Any:
        """The result of a future of the SDK; blocks."""
        with self.named(doing):
            return future.result()

    async def answer(self, future: Any, doing: str) -> Any:
        """The result of a future of the SDK. UsageError for a rejected key, PolicyError for a failed request."""
        with self.named(doing):
            if not isinstance(future, self.sdk.APIFuture) and isinstance(future, concurrent.futures.Future):
                return await asyncio.wrap_future(future)
            return await future

    async def training_client(self, lora: LoraConfig) -> Any:
        """A new adapter on attention and MLP. UsageError for a scale that servers do not have."""
        if lora.alpha != ALPHA:
            raise UsageError(
                f"{self.address.spec} scales adapters by {ALPHA} / rank, not by {lora.alpha} / rank: "
                f"--set strategy.alpha={ALPHA}"
            )
        options = {"rank": lora.rank, "seed": lora.seed, "train_unembed": False}
        return await self._later(
            f"making an adapter of rank {lora.rank}",
            lambda: self._service.create_lora_training_client(base_model=self.address.model, **options),
        )

    async def saved_client(self, path: str) -> Any:
        """A sampling client of saved sampler weights."""
        return await self._later(f"opening {path}", lambda: self._service.create_sampling_client(model_path=path))

    def close(self) -> None:
        """Ends the session. A server that cannot be told forgets it by itself, so that is no failure."""
        if not hasattr(self._service, "close"):
            self._service.holder.close()
            return
        try:
            self.wait(self._service.close("success"), "closing the session")
        except (PolicyError, UsageError) as error:
            log.info("%s", error)

    @contextmanager
    def named(self, doing: str) -> Iterator[None]:
        """Gives the SDK's exceptions our names, with what was being done and what to do."""
        try:
            yield
        except (self.sdk.TinkerError, ValueError, TimeoutError, OSError) as error:
            raise self._failure(doing, error) from error

    async def _later(self, doing: str, make: Any) -> Any:
        """What a blocking call makes: a client, or in later SDKs the future of one."""
        with self.named(doing):
            return await asyncio.to_thread(lambda: self._now(make()))

    def _now(self, made: Any) -> Any:
        return made.result() if isinstance(made, self.sdk.APIFuture) else made

    def _context_tokens(self, contexts: dict[str | None, int | None]) -> int | None:
        model = self.address.model
        names = sorted(name for name in contexts if name)
        if names and model not in names:
            raise UsageError(
                f"--model {self.address.spec}: the server has no model {model!r}; it has {', '.join(names)}"
            )
        return contexts.get(model)

    def _failure(self, doing: str, error: Exception) -> UsageError | PolicyError:
        text = redacted(str(error)).strip() or type(error).__name__
        if isinstance(error, self.sdk.AuthenticationError | self.sdk.PermissionDeniedError):
            return UsageError(
                f"{self.address.spec}: the server does not accept the key; set {KEY} to a valid one ({text})"
            )
        if _OTHER_PROTOCOL in text:
            return UsageError(
                f"{self.address.spec}: the server does not speak the protocol of tinker {self.sdk.__version__}; "
                "for a self-hosted server, pip install tinker==0.24.1"
            )
        return PolicyError(
            f"{self.address.spec}: {doing} failed: {text}. What was stored is kept: go on with assay resume"
        )


def _key(address: Address) -> str:
    """The key of the environment for a remote server; never sent to a server on this machine, which needs none."""
    key = variable(KEY)
    if address.url is not None and (key is None or _is_here(address.url)):
        return _NO_KEY
    if key is None:
        raise UsageError(
            f"--model {address.spec}: no key for the hosted service; put {KEY}=tml-... into the environment "
            f"or a file .env, or name a server of your own: {PREFIX}{address.model}@http://HOST:PORT"
        )
    return key


def _check_reachable(address: Address) -> None:
    """The SDK would try again for minutes; one request says at once that nobody answers."""
    url = address.url or HOSTED_URL
    proxies = urllib.request.ProxyHandler({} if _is_here(url) else None)
    try:
        urllib.request.build_opener(proxies).open(f"{url}/api/v1/healthz", timeout=_REACH_S).close()
    except urllib.error.HTTPError as error:  # whatever it says, a server is there
        error.close()
    except OSError as error:
        raise PolicyError(
            f"--model {address.spec}: no server answers at {url} ({error}); start it, or correct the URL"
        ) from None


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
