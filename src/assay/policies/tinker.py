"""A language model at a Tinker-compatible server, through the official SDK: `tinker:NAME` or `tinker:NAME@URL`.

Without a URL it is the hosted service, with the key in TINKER_API_KEY. What other servers do differently is measured
when a trainer is first asked for (`tinker_facts`), and corrected: to whoever uses a policy, losses are sums over
completion tokens, log-probabilities are raw, and snapshots stay what they were.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from assay.core.errors import PolicyError
from assay.core.protocols import Capabilities, LoraConfig
from assay.core.records import content_hash
from assay.learning.losses import LOSSES
from assay.policies.tinker_facts import find_facts
from assay.policies.tinker_readers import Readers
from assay.policies.tinker_sampler import TOPK, Endpoint, TinkerSampler
from assay.policies.tinker_sdk import Connection, parse_model
from assay.policies.tinker_text import ModelText, tokenizer_of
from assay.policies.tinker_trainer import Bench, TinkerTrainer

_TRIAL_TEXT = "def forward(self, x):\n    return torch.relu(x) + 1\n"


def load_tinker(spec: str) -> "TinkerPolicy":
    """Opens a session for `tinker:NAME[@URL]`; not within a running event loop.

    Raises `UsageError` without the SDK, a key, or the model at the server, `PolicyError` where no server answers.
    """
    connection = Connection(parse_model(spec))
    client = connection.base_client()
    text = ModelText(tokenizer_of(connection.address.model, client))
    return TinkerPolicy(Endpoint(connection, text, _topk(connection, client, text)), client)


class TinkerPolicy:
    """A model at a server; samples, scores, and trains low-rank adapters."""

    def __init__(self, endpoint: Endpoint, client: Any) -> None:
        """`client`: the SDK's sampling client of the unadapted model."""
        self._endpoint = endpoint
        self._readers = Readers(endpoint.connection)
        self._bench: Bench | None = None
        identity = content_hash("tinker", endpoint.connection.address.model)
        self._base = TinkerSampler(endpoint, identity, lambda: nullcontext(client))

    @property
    def name(self) -> str:
        """The specification, with the URL."""
        return self._endpoint.spec

    @property
    def device(self) -> str:
        """Not a device of this machine."""
        return "remote"

    @property
    def capabilities(self) -> Capabilities:
        """All losses, as sums: another reduction of the server is corrected. topk: 0 where the server gives none."""
        return Capabilities(
            can_train=True,
            can_score=True,
            topk=self._endpoint.topk,
            has_full_logits=False,
            losses=tuple(LOSSES),
            logprobs="raw",
            reduction="sum",
            context_tokens=self._endpoint.connection.context_tokens,
        )

    @property
    def prompt_kind(self) -> Literal["completion", "chat"]:
        """Chat where the tokenizer has a template."""
        return self._endpoint.text.prompt_kind

    def base(self) -> TinkerSampler:
        """The model as it is served."""
        return self._base

    async def trainer(self, lora: LoraConfig, start: Path | None = None) -> TinkerTrainer:
        """A new adapter, untouched or from what a trainer saved in `start`.

        Raises `UsageError` for an adapter that the server does not make, or a `start` of another model or rank.
        """
        if self._bench is None:
            ids = self._endpoint.text.tokenizer.encode(_TRIAL_TEXT)
            facts = await find_facts(self._endpoint.connection, ids)
            self._bench = Bench(self._endpoint, facts, self._readers, self._base)
        trainer = TinkerTrainer(self._bench, await self._endpoint.connection.training_client(lora), lora)
        if start is not None:
            await trainer.load(start)
        return trainer

    async def close(self) -> None:
        """Ends the session; what was saved at the server stays there."""
        self._endpoint.connection.close()


def _topk(connection: Connection, client: Any, text: ModelText) -> int:
    """How many top-k log-probabilities the server gives: a request of one token, which also shows that it answers."""
    prompt = connection.sdk.types.ModelInput.from_ints(text.tokenizer.encode(_TRIAL_TEXT))
    params = connection.sdk.types.SamplingParams(max_tokens=1)

    def asked(count: int) -> Any:
        options = {"include_prompt_logprobs": True, "topk_prompt_logprobs": count}
        return connection.wait(client.sample(prompt, 1, params, **options), "the first request")

    try:
        return TOPK if asked(TOPK).topk_prompt_logprobs else 0
    except PolicyError:  # a server that refuses what it does not know
        asked(0)
        return 0
