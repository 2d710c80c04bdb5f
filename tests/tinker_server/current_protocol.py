"""Lets SDKs of today speak to a server of yesterday: their Protocol Buffers in, its JSON inside, and back again.

SDK 0.38 sends forward and backward passes as Protocol Buffers, takes samples and passes in no other form, and wants the
ids of samples as soon as it has asked for them. SkyRL 0.3.0 knows JSON only, and no such ids. The schema is that of the
server's own copy of the SDK. A test-only translation: what it shows is that the policy's calls work through that SDK,
not how the hosted service computes.
"""
# pyright: reportMissingImports=false

import json
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import numpy as np

PROTOBUF = b"application/x-protobuf"
JSON = b"application/json"

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Translate = Callable[[dict[str, Any]], tuple[bytes | None, bytes]]


class CurrentProtocol:
    """Wraps an ASGI application; requests that are not of the new form pass through untouched."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        headers = dict(scope.get("headers", ()))
        path = scope.get("path", "")
        if path.endswith("/forward_backward") and headers.get(b"content-type") == PROTOBUF:
            is_forward, body = pass_request(await _body(receive))
            kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
            kept += [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
            wanted = path.removesuffix("_backward") if is_forward else path
            inner = {**scope, "path": wanted, "raw_path": wanted.encode(), "headers": kept}
            await self._app(inner, _once(body), send)
        elif path.endswith("/retrieve_future") and PROTOBUF in headers.get(b"accept", b""):
            await self._answered(scope, receive, send, lambda found: (result(found), PROTOBUF))
        elif path.endswith("/asample"):
            body = await _body(receive)
            count = json.loads(body).get("num_samples", 1)
            ids = {"sample_sequence_ids": [uuid.uuid4().hex for _ in range(count)]}
            await self._answered(scope, _once(body), send, lambda found: (json.dumps({**found, **ids}).encode(), JSON))
        else:
            await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, receive: Receive, send: Send, translate: Translate) -> None:
        start: Message = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            else:
                body += message.get("body", b"")

        await self._app(scope, receive, collect)
        encoded, kind = translate(json.loads(body)) if start["status"] == 200 else (None, b"")
        if encoded is not None:
            body = encoded
            length = (b"content-length", str(len(body)).encode())
            start = {**start, "headers": [(b"content-type", kind), length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def pass_request(data: bytes) -> tuple[bool, bytes]:
    """(whether it is a forward pass alone, the request in JSON)."""
    from tinker.proto import tinker_public_pb2 as schema

    message = schema.ForwardBackwardRequest()
    message.ParseFromString(data)
    kinds = {schema.DTYPE_FLOAT32: np.float32, schema.DTYPE_INT64: np.int64}
    content = {
        "loss_fn": message.loss_fn,
        "loss_fn_config": dict(message.loss_fn_config) or None,
        "data": [
            {
                "model_input": {
                    "chunks": [
                        {"tokens": np.frombuffer(chunk.encoded_text.tokens, np.int32).tolist()}
                        for chunk in datum.model_input
                    ]
                },
                "loss_fn_inputs": {
                    name: {"data": np.frombuffer(tensor.dense, kinds[tensor.dtype]).tolist()}
                    for name, tensor in datum.loss_fn_inputs.items()
                },
            }
            for datum in message.data
        ],
    }
    key = "forward_input" if message.forward_only else "forward_backward_input"
    return message.forward_only, json.dumps({"model_id": message.model_id, key: content}).encode()


def result(found: dict[str, Any]) -> bytes | None:
    """Samples or a pass, encoded; None for anything else."""
    if "sequences" in found:
        return _samples(found)
    return _pass_output(found) if "loss_fn_outputs" in found else None


def _samples(found: dict[str, Any]) -> bytes:
    from tinker.proto import tinker_public_pb2 as schema

    message = schema.SampleResponse()
    reasons = {"stop": schema.STOP_REASON_STOP, "length": schema.STOP_REASON_LENGTH}
    for one in found["sequences"]:
        row = message.sequences.add()
        row.stop_reason = reasons[one["stop_reason"]]
        row.tokens = np.asarray(one["tokens"], np.int32).tobytes()
        row.logprobs = np.asarray(one["logprobs"], np.float32).tobytes()
    if found.get("prompt_logprobs") is not None:
        message.prompt_logprobs = np.asarray(found["prompt_logprobs"], np.float32).tobytes()
    return message.SerializeToString()


def _pass_output(found: dict[str, Any]) -> bytes:
    from tinker.proto import tinker_public_pb2 as schema

    message = schema.ForwardBackwardOutput()
    message.loss_fn_output_type = found["loss_fn_output_type"]
    for name, value in found["metrics"].items():
        message.metrics[name] = value
    outputs = found["loss_fn_outputs"]
    record = message.loss_fn_outputs.add()
    record.num_datums = len(outputs)
    for name in outputs[0]:
        columns = [np.asarray(one[name]["data"], np.float32) for one in outputs]
        tensor = record.fields[name]
        tensor.dtype = schema.DTYPE_FLOAT32
        tensor.data = np.concatenate(columns).tobytes()
        tensor.offsets = np.cumsum([0, *(column.nbytes for column in columns)], dtype=np.int64).tobytes()
    return message.SerializeToString()


async def _body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return body


def _once(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
