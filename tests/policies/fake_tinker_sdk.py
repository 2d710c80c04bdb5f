"""A stand-in for the module `tinker` with a server inside: a real (tiny) model, real losses, gradients and Adam.

The model predicts a token from the one before it, by a table of logits; an adapter adds a table of its own. `Behaviour`
says in what the server is like the hosted service as documented, or not. Requests are answered in the order in which
they were made, when the first of them is waited for, and `Server.events` keeps that order.
"""

import concurrent.futures
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

MODEL = "tiny/table"
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>")
ALLOWED = {"target_tokens", "logprobs", "advantages"}


class TinkerError(Exception):
    """As in the SDK."""


class AuthenticationError(TinkerError):
    """As in the SDK."""


class PermissionDeniedError(TinkerError):
    """As in the SDK."""


@dataclass(frozen=True)
class Behaviour:
    """The hosted service as documented. is_new: clients and samples come as futures, as from SDK 0.38."""

    reduction: str = "sum"  # or "mean": over each sequence's weights, then over sequences; "tokens": over all weights
    is_strict: bool = True  # refuses inputs that a loss does not have
    says_loss: bool = True
    says_norm: bool = False
    is_tempered: bool = False
    topk: int = 20
    context: int | None = 200
    clips: bool = True
    keeps_snapshots: bool = True  # else as SkyRL: saved weights are put into the trained adapter, which is sampled
    is_new: bool = False


class APIFuture:
    """Runs its work when it is waited for; after all that was asked before."""

    def __init__(self, server: "Server", name: str, work: Callable[[], Any]) -> None:
        self._server, self._name, self._work = server, name, work
        server.events.append(f"ask {name}")
        server.queue.append(self)
        self._outcome: tuple[Any, Exception | None] | None = None

    def run(self) -> None:
        try:
            self._outcome = self._work(), None
        except (TinkerError, ValueError) as error:
            self._outcome = None, error
        self._server.events.append(f"done {self._name}")

    def result(self) -> Any:
        while self._outcome is None:
            self._server.queue.pop(0).run()
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()
        return self.result()


@dataclass
class Server:
    """What all clients talk to."""

    behaviour: Behaviour
    tokenizer: Any
    events: list[str] = field(default_factory=list)
    queue: list[APIFuture] = field(default_factory=list)
    saved: dict[str, "Weights"] = field(default_factory=dict)
    owners: dict[str, "TrainingClient"] = field(default_factory=dict)
    fails: dict[str, Exception] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        size = len(self.tokenizer)
        self.base = 2 * torch.randn(size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def ask(self, name: str, work: Callable[[], Any]) -> APIFuture:
        def checked() -> Any:
            if name in self.fails:
                raise self.fails[name]
            return work()

        return APIFuture(self, name, checked)

    def weights_of(self, path: str) -> "Weights":
        """What is sampled under a saved name."""
        owner = self.owners[path]
        if self.behaviour.keeps_snapshots:
            return self.saved[path]
        if owner.loaded != path:
            owner.weights.table, owner.loaded = self.saved[path].table.clone(), path
        return owner.weights

    def logprobs(self, weights: "Weights", ids: list[int]) -> Tensor:
        """Of every token that may come after each of `ids`."""
        return torch.log_softmax(self.base[ids] + weights.table[ids], dim=-1)


@dataclass
class Weights:
    """An adapter with its Adam moments."""

    table: Tensor
    first: Tensor
    second: Tensor
    steps: int = 0

    def copy(self) -> "Weights":
        return Weights(self.table.detach().clone(), self.first.clone(), self.second.clone(), self.steps)


class TrainingClient:
    """As in the SDK."""

    def __init__(self, server: Server) -> None:
        self._server = server
        zero = torch.zeros_like(server.base)
        self.weights = Weights(zero.clone(), zero.clone(), zero.clone())
        self.loaded = ""
        self._terms: list[Tensor] = []
        self._tokens = 0.0

    def forward(self, data: list[Any], loss: str, config: Any = None) -> APIFuture:
        def work() -> Any:
            tokens = self._tokens
            output, _ = self._output(data, loss, config)
            self._tokens = tokens
            return output

        return self._server.ask("forward", work)

    def forward_backward(self, data: list[Any], loss: str, config: Any = None) -> APIFuture:
        def work() -> Any:
            output, terms = self._output(data, loss, config)
            self._terms += terms
            return output

        return self._server.ask("forward_backward", work)

    def optim_step(self, params: Any) -> APIFuture:
        return self._server.ask("optim_step", lambda: self._step(params))

    def save_state(self, name: str) -> APIFuture:
        return self._server.ask("save_state", lambda: self._save(f"tinker://run/weights/{name}"))

    def save_weights_for_sampler(self, name: str) -> APIFuture:
        return self._server.ask("save_weights_for_sampler", lambda: self._save(f"tinker://run/sampler_weights/{name}"))

    def load_state_with_optimizer(self, path: str) -> APIFuture:
        def work() -> None:
            if path not in self._server.saved:
                raise ValueError(f"Checkpoint not found: {path}")
            self.weights = self._server.saved[path].copy()

        return self._server.ask("load_state", work)

    load_state = load_state_with_optimizer

    def _save(self, path: str) -> Any:
        self._server.saved[path], self._server.owners[path] = self.weights.copy(), self
        return SimpleNamespace(path=path)

    def _output(self, data: list[Any], loss: str, config: Any) -> tuple[Any, list[Tensor]]:
        self.weights.table.requires_grad_()
        terms, outputs = [], []
        for datum in data:
            given = {name: torch.tensor(values) for name, values in datum.loss_fn_inputs.items()}
            allowed = {"target_tokens", "weights"} if loss == "cross_entropy" else ALLOWED
            if self._server.behaviour.is_strict and set(given) != allowed:
                raise ValueError(f"{loss} takes {sorted(allowed)}, not {sorted(given)}")
            all_LV = self._server.logprobs(self.weights, datum.model_input)
            theta_L = all_LV.gather(-1, given["target_tokens"][:, None])[:, 0]
            terms.append(self._reduced(_token_losses(loss, config, theta_L, given), given))
            outputs.append({"logprobs": SimpleNamespace(data=theta_L.detach().tolist())})
        metrics = {"loss:sum": float(torch.stack(terms).sum().detach())} if self._server.behaviour.says_loss else {}
        return SimpleNamespace(loss_fn_outputs=outputs, metrics=metrics), terms

    def _reduced(self, losses_L: Tensor, given: dict[str, Tensor]) -> Tensor:
        weights_L = given.get("weights", torch.ones_like(losses_L))
        self._tokens += float(weights_L.sum())
        return losses_L.sum() / (weights_L.sum() if self._server.behaviour.reduction == "mean" else 1)

    def _step(self, params: Any) -> Any:
        now = self.weights
        loss = torch.stack(self._terms).sum()
        loss = loss / {"sum": 1, "mean": len(self._terms), "tokens": self._tokens}[self._server.behaviour.reduction]
        (gradient,) = torch.autograd.grad(loss, now.table)
        norm = float(gradient.norm())
        if self._server.behaviour.clips and 0 < params.grad_clip_norm < norm:
            gradient = gradient * params.grad_clip_norm / norm
        steps = now.steps + 1
        first = params.beta1 * now.first + (1 - params.beta1) * gradient
        second = params.beta2 * now.second + (1 - params.beta2) * gradient**2
        mean, spread = first / (1 - params.beta1**steps), second / (1 - params.beta2**steps)
        table = now.table.detach() - params.learning_rate * mean / (spread.sqrt() + params.eps)
        self.weights, self._terms, self._tokens = Weights(table, first, second, steps), [], 0.0
        return SimpleNamespace(metrics={"grad_norm": norm} if self._server.behaviour.says_norm else None)


class SamplingClient:
    """As in the SDK."""

    def __init__(self, server: Server, weights: Callable[[], Weights]) -> None:
        self._server, self._weights = server, weights

    def get_tokenizer(self) -> Any:
        return self._server.tokenizer

    def sample(
        self,
        prompt: list[int],
        num_samples: int,
        sampling_params: Any,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
    ) -> Any:
        def work() -> Any:
            rows = [self._row(prompt, sampling_params, row) for row in range(num_samples)]
            scored = self._scored(prompt) if include_prompt_logprobs else None
            topk = None
            if 0 < topk_prompt_logprobs <= self._server.behaviour.topk:
                best = torch.topk(self._server.logprobs(self._weights(), prompt[:-1]), topk_prompt_logprobs)
                places = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                topk = [None, *(list(zip(ids, values, strict=True)) for ids, values in places)]
            return SimpleNamespace(sequences=rows, prompt_logprobs=scored, topk_prompt_logprobs=topk)

        return self._future("sample", work)

    def compute_logprobs(self, prompt: list[int]) -> Any:
        return self._future("compute_logprobs", lambda: self._scored(prompt))

    def _future(self, name: str, work: Callable[[], Any]) -> Any:
        asked = self._server.ask(name, work)
        if self._server.behaviour.is_new:
            return asked
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        try:
            future.set_result(asked.result())
        except (TinkerError, ValueError) as error:
            future.set_exception(error)
        return future

    def _scored(self, ids: list[int]) -> list[float | None]:
        all_LV = self._server.logprobs(self._weights(), ids[:-1])
        return [None, *all_LV.gather(-1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()]

    def _row(self, prompt: list[int], params: Any, row: int) -> Any:
        generator = torch.Generator().manual_seed((params.seed or 0) + row)
        ends = {stop for stop in params.stop or () if isinstance(stop, int)}
        tokens: list[int] = []
        logprobs: list[float] = []
        while len(tokens) < params.max_tokens and not ends & set(tokens[-1:]):
            raw_V = self._server.logprobs(self._weights(), [[*prompt, *tokens][-1]])[0]
            sharp_V = torch.log_softmax(raw_V / max(params.temperature, 1e-3), dim=-1)
            tokens.append(int(torch.multinomial(sharp_V.exp(), 1, generator=generator)))
            logprobs.append(float((sharp_V if self._server.behaviour.is_tempered else raw_V)[tokens[-1]]))
        reason = "stop" if ends & set(tokens[-1:]) else "length"
        return SimpleNamespace(tokens=tokens, logprobs=logprobs, stop_reason=reason)


def fake_sdk(behaviour: Behaviour | None = None, tokenizer: Any = None) -> Any:
    """The module, whose `server` is the one that its clients talk to."""
    behaviour = behaviour or Behaviour()
    server = Server(behaviour, tokenizer or tiny_tokenizer())

    class ServiceClient:
        def __init__(self, api_key: str, base_url: str = "") -> None:
            server.keys.append(api_key)
            if "ServiceClient" in server.fails:
                raise server.fails["ServiceClient"]

        def get_server_capabilities(self) -> Any:
            known = SimpleNamespace(model_name=MODEL, max_context_length=behaviour.context)
            return SimpleNamespace(supported_models=[known])

        def create_sampling_client(self, base_model: str = "", model_path: str = "") -> Any:
            zero = torch.zeros_like(server.base)

            def weights() -> Weights:
                return server.weights_of(model_path) if model_path else Weights(zero, zero, zero)

            return self._client("create_sampling_client", lambda: SamplingClient(server, weights))

        def create_lora_training_client(self, base_model: str, rank: int, seed: int, train_unembed: bool) -> Any:
            return self._client("create_lora_training_client", lambda: TrainingClient(server))

        def close(self, status: str) -> APIFuture:
            return server.ask("close", lambda: None)

        def _client(self, name: str, make: Callable[[], Any]) -> Any:
            future = server.ask(name, make)
            return future if behaviour.is_new else future.result()

    def adam(**values: float) -> Any:
        defaults = {"learning_rate": 1e-4, "beta1": 0.9, "beta2": 0.95, "eps": 1e-12, "weight_decay": 0.0}
        return SimpleNamespace(**{**defaults, "grad_clip_norm": 0.0, **values})

    def sampling(**values: Any) -> Any:
        return SimpleNamespace(**{"temperature": 1.0, "top_p": 1.0, "seed": None, "stop": None, **values})

    types = SimpleNamespace(
        ModelInput=SimpleNamespace(from_ints=list),
        Datum=SimpleNamespace,
        AdamParams=adam,
        SamplingParams=sampling,
    )
    return SimpleNamespace(
        __version__="fake",
        server=server,
        ServiceClient=ServiceClient,
        APIFuture=APIFuture,
        TinkerError=TinkerError,
        AuthenticationError=AuthenticationError,
        PermissionDeniedError=PermissionDeniedError,
        types=types,
    )


def _token_losses(loss: str, config: Any, theta_L: Tensor, given: dict[str, Tensor]) -> Tensor:
    if loss == "cross_entropy":
        return -given["weights"] * theta_L
    rho = torch.exp(theta_L - given["logprobs"])
    clipped = rho.clamp(config["clip_low_threshold"], config["clip_high_threshold"]) if config else rho
    value = {
        "importance_sampling": lambda: rho * given["advantages"],
        "ppo": lambda: torch.minimum(rho * given["advantages"], clipped * given["advantages"]),
        "cispo": lambda: clipped.detach() * theta_L * given["advantages"],
    }[loss]()
    return -value * given.get("weights", torch.ones_like(value))


def tiny_tokenizer(special: tuple[str, ...] = SPECIAL[:3], template: str | None = None) -> PreTrainedTokenizerFast:
    """Bytes and the special tokens."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*special, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    wrapped.add_special_tokens({"additional_special_tokens": list(special)})
    if template:
        wrapped.chat_template = template
    return wrapped
