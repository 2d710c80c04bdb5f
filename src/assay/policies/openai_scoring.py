"""Log-probabilities of a given completion from a server, in the three ways that servers have.

prompt_logprobs   vLLM: prompt and completion go in as one prompt of token ids; log-probabilities come by id.
generate          SGLang: the same through its own interface, `/generate`.
echo              the older OpenAI form: the text comes back with log-probabilities. The server splits prompt and
                  completion into tokens afresh, so only a completion that it splits as it was drawn can be scored.
"""

from typing import Any

from assay.core.errors import PolicyError, UsageError
from assay.core.records import Prompt, SamplingParams, Scored
from assay.policies.openai_parse import PSEUDO_BASE
from assay.policies.openai_requests import Server, checked_length

_ONE_TOKEN = SamplingParams(temperature=0.0, max_tokens=1)
Alternatives = tuple[tuple[int, float], ...]


async def score_tokens(server: Server, prompt: Prompt, tokens: tuple[int, ...], topk: int) -> Scored:
    """Raw log-probabilities of `tokens` (length T >= 1) after `prompt`.

    UsageError for tokens or a prompt that this server cannot take, PolicyError for an answer that does not fit them.
    """
    if server.dialect.scoring == "echo":
        return await _by_echo(server, prompt, tokens)
    ids = await server.known_ids(prompt)
    if ids is None:
        raise UsageError(
            f"{server.address.spec} does not tell the tokens of the prompt of {prompt.task_key}; name the model's "
            "tokenizer: --set server.tokenizer=FOLDER-or-hub-id"
        )
    _check_fit(server, prompt, len(ids), tokens)
    if server.dialect.scoring == "generate":
        return await _by_generate(server, prompt, ids, tokens, topk)
    return await _by_prompt_logprobs(server, prompt, ids, tokens, topk)


def _check_fit(server: Server, prompt: Prompt, prompt_length: int, tokens: tuple[int, ...]) -> None:
    held = server.context_tokens
    if any(token >= PSEUDO_BASE for token in tokens):
        raise UsageError(f"{prompt.task_key}: these tokens are known by their text only, and cannot be scored by id")
    if held is not None and prompt_length + len(tokens) >= held:
        raise UsageError(
            f"{prompt.task_key}: {prompt_length} prompt and {len(tokens)} completion tokens, and the context of "
            f"{server.address.name} holds {held}; shorten the prompt"
        )


async def _by_prompt_logprobs(
    server: Server, prompt: Prompt, ids: tuple[int, ...], tokens: tuple[int, ...], topk: int
) -> Scored:
    body = {
        "model": server.model,
        "prompt": [*ids, *tokens],
        "prompt_logprobs": topk,
        "max_tokens": 1,
        "temperature": 0.0,
    }
    answer = server.read(await server.link.post("completions", body), prompt)
    places = (answer.rows[0].raw.get("prompt_logprobs") or ())[len(ids) :]
    checked_length(len(places), len(tokens), "completion")
    try:
        logprobs = tuple(float(place[str(token)]["logprob"]) for token, place in zip(tokens, places, strict=True))
        best = tuple(_ranked(place, topk) for place in places) if topk else ()
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"the server's prompt_logprobs have another form than vLLM's ({error!r})") from error
    return Scored(tokens=tokens, logprobs=logprobs, topk=best, prompt_tokens=len(ids))


def _ranked(place: dict[str, Any], topk: int) -> Alternatives:
    """The likeliest of a place, to which vLLM has added the given token whatever its rank."""
    pairs = sorted(((int(key), float(value["logprob"])) for key, value in place.items()), key=lambda pair: -pair[1])
    return tuple(pairs[:topk])


async def _by_generate(
    server: Server, prompt: Prompt, ids: tuple[int, ...], tokens: tuple[int, ...], topk: int
) -> Scored:
    body = {
        "input_ids": [*ids, *tokens],
        "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
        "return_logprob": True,
        "logprob_start_len": len(ids) - 1,
        "top_logprobs_num": topk,
    }
    if server.settings.adapter is not None:
        body["lora_path"] = server.model
    reply = await server.link.post("/generate", body)
    if not reply.is_ok:
        server.read(reply, prompt)
    try:
        facts = reply.body["meta_info"]
        # One entry a token from the start on, the first without a predecessor that counts: the last T are ours.
        entries = facts["input_token_logprobs"][-len(tokens) :]
        places = facts["input_top_logprobs"][-len(tokens) :] if topk else []
        logprobs = tuple(float(value) for value, number, *_ in entries)
        given = tuple(int(number) for _, number, *_ in entries)
        best = tuple(tuple((int(number), float(value)) for value, number, *_ in place) for place in places)
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"the server's answer has another form than SGLang's ({error!r})") from error
    if given != tokens:
        raise PolicyError(f"{prompt.task_key}: the server scored other tokens than were given")
    return Scored(tokens=tokens, logprobs=logprobs, topk=best, prompt_tokens=len(ids))


async def _by_echo(server: Server, prompt: Prompt, tokens: tuple[int, ...]) -> Scored:
    if any(token not in server.pieces for token in tokens):
        raise UsageError(
            f"{prompt.task_key}: {server.address.spec} scores text, and the text of these tokens is not known to this "
            "process; use a server that takes token ids (vLLM, SGLang), or a local model"
        )
    before = server.prompt_text(prompt)
    try:
        after = b"".join(server.pieces[token] for token in tokens).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{prompt.task_key}: the completion ends inside a character and cannot be scored") from None
    if prompt.hash not in server.prompt_lengths:
        await server.complete(prompt, 1, _ONE_TOKEN, seed=0)
    body = {"model": server.model, "prompt": before + after, "max_tokens": 1, "temperature": 0.0}
    body |= {"echo": True, "logprobs": 1, **server.dialect.neutral}
    answer = server.read(await server.link.post("completions", body), prompt)
    echoed = answer.rows[0].tokens or ()
    echoed = echoed[: len(echoed) - answer.completion_tokens]
    # A beginning mark is counted as a token of the prompt, but some servers do not echo it.
    first = server.prompt_lengths[prompt.hash] - (answer.prompt_tokens - len(echoed))
    tail = echoed[max(first, 0) :]
    if tuple(token.id for token in tail) != tokens:
        raise PolicyError(f"{prompt.task_key}: the server splits the text into other tokens than it drew")
    if any(token.logprob is None for token in tail):
        raise PolicyError(f"{prompt.task_key}: the server gave no log-probabilities of the text that it echoed")
    return Scored(tokens=tokens, logprobs=tuple(token.logprob for token in tail if token.logprob is not None))
