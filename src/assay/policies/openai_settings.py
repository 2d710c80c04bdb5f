"""Which server a policy speaks to, and how: the specification `openai:NAME@URL` and the settings under `server`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field

from assay.core.environment import variable
from assay.core.errors import UsageError
from assay.core.records import Record

PREFIX = "openai:"
DialectName = Literal["vllm", "sglang", "llama.cpp", "llama-cpp-python", "transformers", "openai"]
DIALECT_NAMES: tuple[DialectName, ...] = get_args(DialectName)


class ServerSettings(Record):
    """How a server is used.

    dialect: which kind of server it is; `auto` asks it. `openai` is the plain interface without extensions.
    tokenizer: folder or hub id of the model's tokenizer; with it chat prompts are rendered here, by its own template,
        and go to the server as tokens or text. Without it the server renders them.
    adapter: folder of a saved adapter that is loaded into the server and sampled from (vLLM).
    logprobs: `required` refuses a server whose log-probabilities are missing, or tempered beyond repair. `dropped`
        stores samples without tokens and log-probabilities; nothing that needs surprisal can be computed then.
    concurrency: requests that are under way at once. rows_per_request: completions that one request asks for.
    timeout_s: patience with one request. retries, backoff_s: a failed request is tried again so often, after backoff_s,
        then twice that, and so on, or when the server says.
    prompt_dollars_per_million, completion_dollars_per_million: prices of tokens, for the ledger; None = not accounted.
    """

    dialect: Literal["auto"] | DialectName = "auto"
    tokenizer: str | None = None
    adapter: Path | None = None
    logprobs: Literal["required", "dropped"] = "required"
    concurrency: int = Field(default=16, ge=1)
    rows_per_request: int = Field(default=1, ge=1)
    timeout_s: float = Field(default=600.0, gt=0)
    retries: int = Field(default=5, ge=0)
    backoff_s: float = Field(default=0.5, gt=0)
    prompt_dollars_per_million: float | None = Field(default=None, ge=0)
    completion_dollars_per_million: float | None = Field(default=None, ge=0)


@dataclass(frozen=True)
class Address:
    """A model at a server. base_url: without a slash at its end, as clients of the interface take it."""

    name: str
    base_url: str

    @property
    def spec(self) -> str:
        """The whole specification."""
        return f"{PREFIX}{self.name}@{self.base_url}"

    @property
    def root_url(self) -> str:
        """Where a server's own paths begin, outside of the common interface."""
        return self.base_url.removesuffix("/v1")


def parse_address(spec: str) -> Address:
    """The address of `openai:NAME@URL`; the URL may be left to OPENAI_BASE_URL. UsageError for anything else.

    Messages never quote the URL, which may hold a password by mistake.
    """
    name, url = _parts(spec.removeprefix(PREFIX))
    if not name:
        raise UsageError("--model openai:NAME@URL: the name is missing; a wrong one gets the list of those there are")
    if url is None:
        url = variable("OPENAI_BASE_URL")
    if url is None:
        raise UsageError(
            f"--model openai:{name}: which server? Write openai:{name}@http://HOST:PORT/v1, or set OPENAI_BASE_URL"
        )
    return Address(name, _checked(url))


def _parts(text: str) -> tuple[str, str | None]:
    for scheme in ("@http://", "@https://"):
        if scheme in text:
            place = text.index(scheme)
            return text[:place], text[place + 1 :]
    if "@" in text:
        raise UsageError("--model openai:NAME@URL: the URL begins with http:// or https://")
    return text, None


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        raise UsageError("--model openai:NAME@URL: this is no URL of a server; write http://HOST:PORT/v1") from None
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            "--model openai:NAME@URL: the URL holds more than scheme, host, port and path; a key belongs in the "
            "environment variable OPENAI_API_KEY or in the file .env, never on the command line"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
        raise UsageError("--model openai:NAME@URL: this is no URL of a server; write http://HOST:PORT/v1")
    path = parts.path.rstrip("/") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}"
