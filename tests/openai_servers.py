"""HTTP servers that speak the OpenAI interface in the dialects of vLLM, SGLang, llama.cpp, llama-cpp-python,
transformers and OpenAI itself, with a pocket model behind them. Real sockets, real HTTP, deterministic answers.

Each has the peculiarities that its namesake has: extra fields, where token ids stand, sampling defaults of its own,
what it refuses, how its failures look.
"""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pocket_model import EOS, VOCABULARY, Drawn, detokenize, draw, next_logprobs, tokenize

MODEL = "pocket"
CONTEXT = 400
OWN_TOP_K = 3  # what these servers do to a request that leaves top_k open
OWNERS = {"vllm": "vllm", "sglang": "sglang", "llama.cpp": "llamacpp", "llama-cpp-python": "me"}
PLAIN = {"model", "messages", "prompt", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"}
PLAIN |= {"n", "logprobs", "top_logprobs", "echo", "generation_config"}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass
class State:
    """How a server behaves, and what it has been asked.

    faults: what happens to the next completion requests instead of answers; None lets one pass.

    loads: what becomes of an adapter: `works`, `ignored` (200, but it is not there), `idle` (listed, without effect),
    `off` (404). echo_shift: by how many places the log-probabilities of an echoed prompt are off.
    """

    dialect: str
    key: str | None = None
    tempered: bool = False
    has_logprobs: bool = True
    loads: str = "works"
    echo_shift: int = 1
    faults: list[Callable[["Handler"], None] | None] = field(default_factory=list)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    adapters: dict[str, str] = field(default_factory=dict)
    now: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def salt(self, model: str) -> str:
        return model if model in self.adapters and self.loads == "works" else ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: State

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _serve(self, body: dict[str, Any]) -> None:
        state = self.state
        with state.lock:
            state.requests.append((self.path, body))
            state.now += 1
            state.most_at_once = max(state.most_at_once, state.now)
            fault = state.faults.pop(0) if state.faults and self.path.endswith("completions") else None
        try:
            if fault is not None:
                fault(self)
            elif state.key is not None and self.headers.get("authorization") != f"Bearer {state.key}":
                message = f"Incorrect API key provided: {self.headers.get('authorization')}"
                self.send(401, {"error": {"message": message}})
            else:
                self.send(200, answer(state, self.path, body))
        except Refused as refusal:
            self.send(refusal.status, {"error": {"message": refusal.message, "type": "invalid_request_error"}})
        finally:
            with state.lock:
                state.now -= 1


# -- faults -----------------------------------------------------------------------------------------------------


def status(code: int, message: str = "busy", **headers: str) -> Callable[[Handler], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(code, {"error": {"message": message}}, named)


def garbage(handler: Handler) -> None:
    handler.send(200, b"<html>Bad gateway</html>")


def half_an_answer(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.close_connection = True


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def silence(seconds: float) -> Callable[[Handler], None]:
    def wait(handler: Handler) -> None:
        threading.Event().wait(seconds)
        handler.close_connection = True

    return wait


# -- answers ----------------------------------------------------------------------------------------------------


def answer(state: State, path: str, body: dict[str, Any]) -> Any:
    match path.removeprefix("/v1"):
        case "/models" if state.dialect == "transformers":
            raise Refused(500, "Internal Server Error")  # it lists its download cache, and here there is none
        case "/models":
            return {"object": "list", "data": _models(state)}
        case "/completions" if state.dialect != "openai":
            return _complete(state, body, _prompt_ids(body["prompt"]), chat=False)
        case "/chat/completions":
            return _complete(state, body, tokenize(_rendered(state, body)), chat=True)
        case "/tokenize" if state.dialect in ("vllm", "sglang"):
            ids = tokenize(_rendered(state, body) if "messages" in body else body["prompt"])
            return {"tokens": ids, "count": len(ids)}
        case "/tokenize" if state.dialect == "llama.cpp":
            return {"tokens": tokenize(body["content"])}
        case "/generate" if state.dialect == "sglang":
            return _generate(state, body)
        case "/load_lora_adapter" if state.dialect == "vllm" and state.loads != "off":
            if state.loads != "ignored":
                state.adapters[body["lora_name"]] = body["lora_path"]
            return {"message": "Success"}
        case "/props" if state.dialect == "llama.cpp":
            return {"default_generation_settings": {"n_ctx": CONTEXT}}
        case "/openapi.json" if state.dialect == "transformers":
            return {"paths": {"/load_model": {}}}
    raise Refused(404, "Not Found")


def _models(state: State) -> list[dict[str, Any]]:
    facts: dict[str, Any] = {"object": "model", "owned_by": OWNERS.get(state.dialect, "somebody")}
    if state.dialect in ("vllm", "sglang"):
        facts["max_model_len"] = CONTEXT
    return [{"id": name, **facts} for name in (MODEL, *state.adapters)]


def _prompt_ids(prompt: str | list[int]) -> list[int]:
    return tokenize(prompt) if isinstance(prompt, str) else prompt


def _rendered(state: State, body: dict[str, Any]) -> str:
    messages, begun = list(body["messages"]), ""
    continues = state.dialect == "llama.cpp" or body.get("continue_final_message")
    if messages[-1]["role"] == "assistant" and continues:
        begun = messages.pop()["content"]
    turns = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return f"{turns}<|im_start|>assistant\n{begun}"


def _complete(state: State, body: dict[str, Any], prompt: list[int], chat: bool) -> dict[str, Any]:
    _check(state, body, prompt)
    top_k = body.get("top_k", OWN_TOP_K) if state.dialect not in ("openai", "transformers") else 0
    salt, limit = state.salt(body["model"]), body.get("max_tokens") or body.get("max_completion_tokens") or 16
    temperature = body.get("temperature", 1.0)
    rows = [
        draw(prompt, limit, temperature, body.get("seed", 0) + i, tuple(body.get("stop", ())), top_k, salt)
        for i in range(1 if state.dialect == "llama-cpp-python" else body.get("n", 1))
    ]
    choices = [_choice(state, body, prompt, row, i, chat) for i, row in enumerate(rows)]
    spent = sum(len(row.tokens) for row in rows)
    usage = {"prompt_tokens": len(prompt), "completion_tokens": spent, "total_tokens": len(prompt) + spent}
    return {"id": "x", "object": "text_completion", "model": body["model"], "choices": choices, "usage": usage}


def _check(state: State, body: dict[str, Any], prompt: list[int]) -> None:
    if body["model"] not in (MODEL, *state.adapters) and state.dialect != "llama-cpp-python":
        raise Refused(404, f"The model `{body['model']}` does not exist.")
    if state.dialect in ("openai", "transformers") and (unknown := body.keys() - PLAIN):
        raise Refused(422 if state.dialect == "transformers" else 400, f"Unexpected fields in the request: {unknown}")
    if state.dialect == "openai" and len(body.get("stop", ())) > 4:
        raise Refused(400, "'stop' takes at most 4 strings")
    if state.dialect == "openai" and "max_tokens" in body:
        raise Refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    if state.dialect == "llama-cpp-python" and body.get("logprobs") is not None and not state.has_logprobs:
        raise Refused(500, "logprobs is not supported for models created with logits_all=False")
    asked = len(prompt) + (body.get("max_tokens") or body.get("max_completion_tokens") or 16)
    if asked > CONTEXT:
        raise Refused(400, f"This model's maximum context length is {CONTEXT} tokens. However, you requested {asked}.")


def _choice(
    state: State, body: dict[str, Any], prompt: list[int], row: Drawn, index: int, chat: bool
) -> dict[str, Any]:
    shown = row.tokens
    if state.dialect == "llama.cpp" and row.stop_tokens:
        shown = row.tokens[: -row.stop_tokens]  # it leaves out the tokens of the stop string
    if state.dialect == "llama-cpp-python" and row.tokens[-1] == EOS:
        shown = row.tokens[:-1]  # and this one the end mark
    values = (row.tempered if state.tempered else row.raw)[: len(shown)]
    temperature = body.get("temperature", 1.0) if state.tempered else 1.0
    salt, count = state.salt(body["model"]), body.get("top_logprobs") or int(body.get("logprobs") or 0)
    tops = [_likeliest([*prompt, *row.tokens[:i]], salt, temperature, max(count, 1)) for i in range(len(shown))]
    choice: dict[str, Any] = {"index": index, "finish_reason": row.finish, "logprobs": None}
    choice |= {"message": {"role": "assistant", "content": row.text}} if chat else {"text": row.text}
    is_asked = body.get("top_logprobs") if chat and state.dialect == "llama-cpp-python" else body.get("logprobs")
    if state.has_logprobs and state.dialect != "transformers" and is_asked:
        as_list = chat or state.dialect == "llama.cpp"
        forms = _entries if as_list else _columns
        choice["logprobs"] = forms(state, body, shown, values, tops)
    if state.dialect in ("vllm", "sglang") and body.get("return_token_ids"):
        choice |= {"token_ids": list(row.tokens), "prompt_token_ids": prompt}
    if state.dialect == "vllm" and body.get("prompt_logprobs") is not None:
        choice["prompt_logprobs"] = _prompt_logprobs(prompt, salt, body["prompt_logprobs"])
    if state.dialect == "llama-cpp-python" and body.get("echo"):
        choice["logprobs"] = _echoed(prompt, row, state.echo_shift)
    return choice


def _likeliest(ids: list[int], salt: str, temperature: float, count: int) -> dict[int, float]:
    values = next_logprobs(ids, salt, temperature)
    return {int(number): float(values[number]) for number in (-values).argsort()[:count]}


def _entries(
    state: State, body: dict[str, Any], ids: tuple[int, ...], values: tuple[float, ...], tops: list[dict[int, float]]
) -> dict[str, Any]:
    def entry(number: int, value: float) -> dict[str, Any]:
        data = VOCABULARY[number]
        named = {"id": number} if state.dialect == "llama.cpp" else {}
        return {"token": data.decode(errors="replace"), "bytes": list(data), "logprob": value, **named}

    return {
        "content": [
            entry(number, value) | {"top_logprobs": [entry(*pair) for pair in top.items()]}
            for number, value, top in zip(ids, values, tops, strict=True)
        ]
    }


def _columns(
    state: State, body: dict[str, Any], ids: tuple[int, ...], values: tuple[float, ...], tops: list[dict[int, float]]
) -> dict[str, Any]:
    def name(number: int) -> str:
        return f"token_id:{number}" if body.get("return_tokens_as_token_ids") else detokenize([number])

    return {
        "tokens": [name(number) for number in ids],
        "token_logprobs": list(values),
        "top_logprobs": [{name(number): value for number, value in top.items()} for top in tops],
        "text_offset": [0] * len(ids),
    }


def _prompt_logprobs(ids: list[int], salt: str, topk: int) -> list[dict[str, Any] | None]:
    places: list[dict[str, Any] | None] = [None]
    for i in range(1, len(ids)):
        values = next_logprobs(ids[:i], salt)
        kept = {*map(int, (-values).argsort()[:topk]), ids[i]}
        places.append({str(number): {"logprob": float(values[number])} for number in kept})
    return places


def _echoed(prompt: list[int], row: Drawn, shift: int) -> dict[str, Any]:
    """With shift 1 as llama-cpp-python 0.3.36 does it: each token under the distribution of the one after it."""
    ids = [*prompt, *row.tokens]
    shifted = [float(next_logprobs(ids[: i + shift])[number]) for i, number in enumerate(prompt)]
    values = [None, *shifted[1:], *row.raw]
    return {"tokens": [detokenize([i]) for i in ids], "token_logprobs": values, "top_logprobs": None}


def _generate(state: State, body: dict[str, Any]) -> dict[str, Any]:
    ids, start = body["input_ids"], body["logprob_start_len"]
    salt = ""
    entries: list[list[Any]] = [[None, ids[start], None]]
    tops: list[list[Any] | None] = [None]
    for i in range(start + 1, len(ids)):
        entries.append([float(next_logprobs(ids[:i], salt)[ids[i]]), ids[i], None])
        tops.append([[value, number, None] for number, value in _likeliest(ids[:i], salt, 1.0, 5).items()])
    count = body.get("top_logprobs_num", 0)
    return {
        "text": "",
        "meta_info": {
            "input_token_logprobs": entries,
            "input_top_logprobs": [None if top is None else top[:count] for top in tops],
        },
    }


@contextmanager
def serving(dialect: str, **behaviour: Any) -> Iterator[tuple[str, State]]:
    """A server in a thread, as its base URL and its state."""
    settings: dict[str, Any] = {"tempered": dialect == "sglang"} | behaviour
    state = State(dialect, **settings)
    handler = type("BoundHandler", (Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
