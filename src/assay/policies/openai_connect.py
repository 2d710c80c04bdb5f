"""The first words with a server: which kind it is, which models it has, and whether its log-probabilities are raw."""

from dataclasses import dataclass
from typing import Any, Literal

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import Sampler
from assay.core.records import SamplingParams
from assay.policies.openai_dialects import DIALECTS, OWN_PATHS, OWNERS, Dialect
from assay.policies.openai_http import Link
from assay.policies.openai_requests import Server, first_tokens
from assay.policies.openai_settings import Address, DialectName, ServerSettings
from assay.policies.probe_logprobs import (
    PROBE_TEMPERATURE,
    ProbeReport,
    compare_temperatures,
    probe_by_rescoring,
    probe_prompt,
)

SHOWN_NAMES = 12
_ALTERNATIVES = 5  # the most that the older interface gives


@dataclass(frozen=True)
class Wanted:
    """What a run will ask for. kind: None leaves it to the server. has_prefill: chats begin the assistant's turn."""

    kind: Literal["completion", "chat"] | None = None
    has_prefill: bool = False
    temperature: float = 0.8
    top_p: float = 1.0


@dataclass(frozen=True)
class Proven:
    """What the start-up probe found out about a served model. why_not: why scoring is not used, where it is not."""

    report: ProbeReport
    can_score: bool
    why_not: str = ""


def needs_rescoring(params: SamplingParams | Wanted) -> bool:
    """Tempered log-probabilities differ from raw ones; at temperature 1 and with the whole vocabulary they do not."""
    return params.temperature != 1 or params.top_p < 1


async def found_server(link: Link, address: Address, settings: ServerSettings, wanted: Wanted) -> Server:
    """The server at the other end of `link`. UsageError for a model that it has not, or a prompt that it cannot take.

    Its dialect is known by who owns its models, else by a path of its own; what tells neither is plain `openai`.
    """
    paths = (await link.ask("/openapi.json")).get("paths")
    own: list[DialectName] = [name for path, name in OWN_PATHS.items() if isinstance(paths, dict) and path in paths]
    dialect = DIALECTS[(own or ["openai"])[0]] if settings.dialect == "auto" else DIALECTS[settings.dialect]
    # What transformers lists is its download cache (and without one it fails): it serves other names and folders too.
    listed = [] if dialect.name == "transformers" else await _models(address, link)
    if settings.dialect == "auto":
        dialect = next((DIALECTS[OWNERS[owner]] for owner in _owners(listed) if owner in OWNERS), dialect)
    names = [str(model.get("id")) for model in listed]
    if address.name not in names and dialect.name != "transformers":
        more = f" and {len(names) - SHOWN_NAMES} more" if names[SHOWN_NAMES:] else ""
        shown = ", ".join(names[:SHOWN_NAMES]) or "none"
        raise UsageError(f"{address.base_url} has no model {address.name!r}; it has {shown}{more}")
    server = Server(
        address=address,
        settings=settings,
        dialect=dialect,
        link=link,
        model=address.name,
        tokenizer=None if settings.tokenizer is None else _tokenizer(settings.tokenizer),
        context_tokens=await _context(address, dialect, link, listed),
    )
    kind = wanted.kind or dialect.prompt_kind
    if kind == "chat" and wanted.has_prefill and server.tokenizer is None and dialect.continues is None:
        raise UsageError(server.cannot_continue())
    return server


async def _models(address: Address, link: Link) -> list[dict[str, Any]]:
    reply = await link.get("models")
    if not reply.is_ok:
        raise UsageError(
            f"{address.base_url}/models answers with status {reply.status} ({reply.complaint}): is this the base URL "
            "of an OpenAI-compatible server? It mostly ends in /v1"
        )
    listed = reply.body.get("data") if isinstance(reply.body, dict) else None
    if not isinstance(listed, list) or not all(isinstance(model, dict) for model in listed):
        raise UsageError(f"{address.base_url}/models gives no list of models; is this an OpenAI-compatible server?")
    return listed


def _owners(listed: list[dict[str, Any]]) -> list[str]:
    return [str(model.get("owned_by")) for model in listed]


async def _context(address: Address, dialect: Dialect, link: Link, listed: list[dict[str, Any]]) -> int | None:
    """Tokens that prompt and completion may have together, where the server tells."""
    for model in listed:
        length = model.get("max_model_len")
        if model.get("id") == address.name and isinstance(length, int):
            return length
    if dialect.name == "llama.cpp":
        defaults = (await link.ask("/props")).get("default_generation_settings")
        length = defaults.get("n_ctx") if isinstance(defaults, dict) else None
        return length if isinstance(length, int) else None
    return None


def _tokenizer(source: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UsageError(f"server.tokenizer = {source}: no tokenizer there ({str(error).splitlines()[0]})") from error


async def prove_logprobs(server: Server, trial: Sampler, wanted: Wanted) -> Proven:
    """What the log-probabilities of `server` are, and whether it can score; `trial` reports them as they come.

    A scorer is believed once it agrees with what is drawn at temperature 1, where nothing is tempered. UsageError for
    log-probabilities that are missing, or tempered with nothing to put them right, where the run needs raw ones.
    """
    if server.settings.logprobs == "dropped":
        return Proven(ProbeReport.nothing(), can_score=False, why_not="log-probabilities are dropped")
    kind = wanted.kind or server.dialect.prompt_kind
    report = await _two_temperatures(server, kind)
    why_not = await _fault_of_scorer(server, trial, kind)
    can_score = not why_not
    if can_score:
        report = await probe_by_rescoring(trial, kind)
    if report.verdict != "raw" and not can_score and needs_rescoring(wanted):
        seen = "tempered" if report.gap is not None else "not to be told from tempered ones"
        raise UsageError(
            f"the log-probabilities of {server.address.spec} are {seen} (start-up probe: {_words(report)}), and it "
            "does not score given text, so surprisal would be of another distribution: "
            f"{server.dialect.when_tempered}, or sample at --temperature 1, or without log-probabilities: "
            "--set server.logprobs=dropped"
        )
    return Proven(report, can_score, why_not)


def _words(report: ProbeReport) -> str:
    gap = "nothing to compare" if report.gap is None else f"{report.gap:.2f} nats apart"
    return f"{report.method}, {gap} over {report.tokens} tokens"


async def _two_temperatures(server: Server, kind: Literal["completion", "chat"]) -> ProbeReport:
    prompt = probe_prompt(kind)
    more = {"top_logprobs": _ALTERNATIVES} if server.uses_chat(prompt) else {"logprobs": _ALTERNATIVES}
    seen = []
    for temperature in (1.0, PROBE_TEMPERATURE):
        params = SamplingParams(temperature=temperature, max_tokens=1)
        tokens = first_tokens(await server.complete(prompt, 1, params, seed=0, more=more))
        if not tokens:
            raise UsageError(server.lacks_logprobs())
        seen.append(tokens)
    return compare_temperatures(*seen)


async def _fault_of_scorer(server: Server, trial: Sampler, kind: Literal["completion", "chat"]) -> str:
    """What is wrong with the server's scoring; "" if nothing is."""
    if server.dialect.scoring is None:
        return f"{server.dialect.name} has no way to"
    try:
        if server.dialect.scoring == "echo":
            server.prompt_text(probe_prompt(kind))  # raises for a prompt that only the server can render
        report = await probe_by_rescoring(trial, kind, temperature=1.0)
    except (UsageError, PolicyError) as error:
        return str(error)
    return "" if report.verdict == "raw" else f"its scores are not those of what it draws: {_words(report)}"
