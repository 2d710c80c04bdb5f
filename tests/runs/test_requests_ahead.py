"""Where the model is at a server, a round is asked for all at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from fakes import FakeEvaluator

from assay.core.protocols import Draw, Sampler
from assay.core.records import Prompt, SamplingParams, Scored
from assay.policies.scripted import Script, ScriptedPolicy
from assay.runs import lifecycle
from assay.runs.build import chosen_tasks, resolve
from assay.runs.config import load_config

SETTINGS = {
    "device": "cpu",
    "tasks.ids": ("plain_gelu", "saturating_sum", "gelu_tanh_by_hand"),
    "strategy.k": 6,
    "sampling.chunk": 2,
    "model": "scripted:x",
    "controls": False,
}


class SlowSampler:
    """Another sampler's draws, each after a while; counts how many are under way."""

    def __init__(self, inner: Sampler) -> None:
        self._inner = inner
        self._under_way = 0
        self.most = 0

    @property
    def id(self) -> str:
        return self._inner.id

    async def sample(self, prompt: Prompt, n: int, params: SamplingParams) -> Draw:
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        await asyncio.sleep(0.01)
        self._under_way -= 1
        return await self._inner.sample(prompt, n, params)

    async def score(self, prompt: Prompt, completion: Sequence[int], topk: int = 0) -> Scored:
        return await self._inner.score(prompt, completion, topk)


class RemotePolicy(ScriptedPolicy):
    """A script that answers like a server."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.sampler = SlowSampler(super().base())

    @property
    def device(self) -> str:
        return "remote"

    def base(self) -> Sampler:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.sampler


def test_a_round_at_a_server_has_many_requests_under_way(tmp_path: Path):
    policy = RemotePolicy(Script.model_validate({"completions": {"*": ["(((\n"]}}))
    config = resolve(load_config(None, SETTINGS))
    tools = lifecycle.Tools(policy, FakeEvaluator())
    asyncio.run(lifecycle.begin(config, chosen_tasks(config), tmp_path / "run", tools, ["test"]))
    assert policy.sampler.most == 9  # three tasks of three chunks
