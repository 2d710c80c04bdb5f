"""What a Tinker-compatible server does differently from the hosted service, found out by trying.

As documented, the hosted service sums losses over tokens, keeps saved weights as they are, and clips the gradient of a
step where it is told to. A server with a URL is asked, with a small adapter that is not used for anything else:

reduction        gradient norms, which the server reports with each step (made at a learning rate of 0), of one item, of
                 the same item twice, and of items of which some tokens have no advantage.
keeps_snapshots  scores under saved sampler weights before and after a step. SkyRL's server loads saved weights into the
                 adapter that is trained, and afterwards samples from whatever that adapter has become.
clips            whether a step with a tiny limit on the gradient moves anything. With beta1 = 0 and a large epsilon
                 Adam's step is proportional to the gradient, which the limit would make as tiny.
"""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from assay.core.errors import UsageError
from assay.core.protocols import LoraConfig
from assay.policies.tinker_data import Reduction, Row
from assay.policies.tinker_sdk import Connection, unique_name

_PROMPT, _ALL = 4, 8
_BEHAVIOUR = -3.0
_CLOSE = 0.02  # relative; norms that differ, differ by a factor of at least 2
_MOVED = 1e-4  # nats; a step of the probe moves far more, rounding far less
_RATE = 1e-2


@dataclass(frozen=True)
class ServerFacts:
    """See the module."""

    reduction: Reduction
    keeps_snapshots: bool
    clips: bool


HOSTED = ServerFacts(reduction="sum", keeps_snapshots=True, clips=True)


async def find_facts(connection: Connection, ids: Sequence[int]) -> ServerFacts:
    """Those of the hosted service where there is no URL, else what is measured on the first 8 of the token ids.

    Raises `UsageError` for a server that reduces in another way than by one of the two, or does not let it be known.
    """
    if connection.address.url is None:
        return HOSTED
    trial = _Trial(connection, await connection.training_client(LoraConfig(rank=1)), list(ids[:_ALL]))
    is_sum = await trial.reports_the_sum()
    trial.sends_weights = not is_sum
    reduction: Reduction = "sum" if is_sum else await trial.reduction()
    return ServerFacts(reduction, await trial.keeps_snapshots(), await trial.clips())


def gradient_norm(metrics: Mapping[str, float] | None) -> float | None:
    """The norm of the gradient among the metrics of a step, by whatever name; None if it is not reported."""
    found = [value for name, value in (metrics or {}).items() if re.search(r"grad\w*norm", name)]
    return float(found[0]) if found else None


def sdk_data(sdk: Any, rows: Sequence[Row]) -> list[Any]:
    """Rows as the SDK's `Datum`."""
    return [
        sdk.types.Datum(model_input=sdk.types.ModelInput.from_ints(row.inputs), loss_fn_inputs=row.fields)
        for row in rows
    ]


class _Trial:
    def __init__(self, connection: Connection, client: Any, ids: list[int]) -> None:
        self._connection, self._client, self._ids = connection, client, ids
        self.sends_weights = False

    async def reports_the_sum(self) -> bool:
        """Whether a pass says what it summed, and that is the sum over the tokens of two unequal items."""
        rows = [self._row([1, 1, 1, 1]), self._row([1, 1, 1, 0])]
        out = await self._answer(self._client.forward(sdk_data(self._connection.sdk, rows), "importance_sampling"))
        reported = out.metrics.get("loss:sum")
        terms = [
            -advantage * math.exp(logprob - behaviour)
            for row, output in zip(rows, out.loss_fn_outputs, strict=True)
            for advantage, logprob, behaviour in zip(
                row.fields["advantages"], output["logprobs"].data, row.fields["logprobs"], strict=True
            )
        ]
        return reported is not None and _is_close(reported, sum(terms))

    async def reduction(self) -> Reduction:
        """Sum over tokens, or mean over items of the mean over their weights; both from ratios of gradient norms."""
        first, none = [1, 0, 0, 0], [0, 0, 0, 0]
        batches = [
            [self._row(first)],
            [self._row(first)] * 2,
            [self._row(first, weights=first)],
            [self._row(first, weights=first), self._row(none)],
        ]
        passes = [self._pass(batch, learning_rate=0.0) for batch in batches]  # all under way before any is waited for
        one, twice, alone, beside = [await self._norm(done) for done in passes]
        if _is_close(twice, 2 * one) and _is_close(alone, one) and _is_close(beside, one):
            return "sum"
        if _is_close(twice, one) and _is_close(alone, 4 * one) and _is_close(beside, 2 * one):
            return "mean"
        raise UsageError(
            f"{self._connection.address.spec} reduces losses in a way that is not corrected here (gradient norms "
            f"{one:.4g}, {twice:.4g}, {alone:.4g}, {beside:.4g}); sample from it only, with assay run best-of-n"
        )

    async def keeps_snapshots(self) -> bool:
        """Whether saved weights score alike before and after a step; False where the step moves too little to tell."""
        saved = await self._answer(self._client.save_weights_for_sampler(unique_name()))
        sampler = await self._connection.saved_client(saved.path)
        before = await self._scores(sampler)
        done, stepped = self._pass([self._row([1, 1, 1, 1])], learning_rate=_RATE)
        await asyncio.gather(self._answer(done), self._answer(stepped))
        moved = _furthest(await self._logprobs(), before)
        return _furthest(await self._scores(sampler), before) < 0.1 * moved if moved > _MOVED else False

    async def clips(self) -> bool:
        """Whether a tiny limit on the gradient keeps a step from moving anything."""
        before = await self._logprobs()
        settings = {"learning_rate": _RATE, "beta1": 0.0, "eps": 1.0, "grad_clip_norm": 1e-9}
        done, stepped = self._pass([self._row([1, 1, 1, 1])], **settings)
        await asyncio.gather(self._answer(done), self._answer(stepped))
        return _furthest(await self._logprobs(), before) < _MOVED

    def _row(self, advantages: Sequence[float], weights: Sequence[float] = (1, 1, 1, 1)) -> Row:
        before = [0.0] * (_PROMPT - 1)
        columns = {"logprobs": [_BEHAVIOUR] * (_ALL - _PROMPT), "advantages": advantages}
        if self.sends_weights:
            columns["weights"] = weights
        fields = {key: [*before, *map(float, column)] for key, column in columns.items()}
        return Row(self._ids[:-1], {"target_tokens": self._ids[1:], **fields})

    def _pass(self, rows: Sequence[Row], **settings: float) -> tuple[Any, Any]:
        """A pass and a step, both under way."""
        sdk = self._connection.sdk
        done = self._client.forward_backward(sdk_data(sdk, rows), "importance_sampling")
        return done, self._client.optim_step(sdk.types.AdamParams(**settings))

    async def _norm(self, under_way: tuple[Any, Any]) -> float:
        _, stepped = await asyncio.gather(*map(self._answer, under_way))
        norm = gradient_norm(stepped.metrics)
        if norm is None:
            raise UsageError(
                f"{self._connection.address.spec} reports neither `loss:sum` nor a gradient norm, so how it reduces "
                "losses cannot be told; sample from it only, with assay run best-of-n"
            )
        return norm

    async def _logprobs(self) -> list[float]:
        """Of the trained weights, on the tokens of the completion."""
        data = sdk_data(self._connection.sdk, [self._row([1, 1, 1, 1])])
        out = await self._answer(self._client.forward(data, "importance_sampling"))
        return out.loss_fn_outputs[0]["logprobs"].data[_PROMPT - 1 :]

    async def _scores(self, sampler: Any) -> list[float]:
        """Of saved weights, on the same tokens."""
        text = self._connection.sdk.types.ModelInput.from_ints(self._ids)
        return (await self._answer(sampler.compute_logprobs(text)))[_PROMPT - _ALL :]

    async def _answer(self, future: Any) -> Any:
        return await self._connection.answer(future, "finding out how the server computes")


def _is_close(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=_CLOSE)


def _furthest(left: Sequence[float], right: Sequence[float]) -> float:
    return max(abs(a - b) for a, b in zip(left, right, strict=True))
