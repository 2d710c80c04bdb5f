"""Copies of one model, each with a device and a worker thread of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from assay.core.protocols import LoraConfig
from assay.policies.adapters import Adapters, AdapterWeights
from assay.policies.sampler import LocalSampler, ReplicaSampler
from assay.policies.weights import LoadedModel
from assay.policies.worker import Team, Worker


@dataclass(frozen=True)
class Replica:
    """One copy. Its tokenizer is its own too, since tokenizers are not made for several threads at once."""

    loaded: LoadedModel
    worker: Worker
    adapters: Adapters


class Replicas:
    """All copies of a model; the first one leads: its weights are the ones that the others follow."""

    def __init__(self, loaded: Sequence[LoadedModel], threads: int | None) -> None:
        self._replicas = [Replica(one, Worker(threads, one.model.device), Adapters(one.model)) for one in loaded]
        self.team = Team([replica.worker for replica in self._replicas])

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._replicas)

    @property
    def first(self) -> Replica:
        """The one that leads."""
        return self._replicas[0]

    @property
    def identity(self) -> str:
        """Of the weights."""
        return self.first.loaded.identity

    def base(self) -> LocalSampler:
        """The model as it was loaded."""
        sides = [
            ReplicaSampler(replica.loaded, replica.worker, partial(replica.adapters.only, None)) for replica in self
        ]
        return LocalSampler(sides, self.identity, "base")

    def sampler(self, weights: Sequence[AdapterWeights], identity: str, name: str) -> LocalSampler:
        """The model with an adapter; `weights`: its copy on each replica."""
        sides = [
            ReplicaSampler(replica.loaded, replica.worker, partial(replica.adapters.snapshot, copy))
            for replica, copy in zip(self, weights, strict=True)
        ]
        return LocalSampler(sides, identity, name)

    def add_adapter(self, lora: LoraConfig) -> list[str]:
        """A new adapter on each replica, with equal weights; gives its name on each."""
        names = [replica.adapters.add(lora) for replica in self]
        self.follow(names)
        return names

    def follow(self, names: Sequence[str]) -> None:
        """Gives the other replicas the first one's adapter weights, bit for bit."""
        leading = self.first.adapters.parameters(names[0])
        for replica, name in list(zip(self, names, strict=True))[1:]:
            for key, parameter in replica.adapters.parameters(name).items():
                parameter.data.copy_(leading[key].data)
