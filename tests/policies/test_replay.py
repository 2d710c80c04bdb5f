import asyncio

import pytest

from assay.core.errors import UsageError
from assay.core.protocols import LoraConfig
from assay.core.records import Completion, Prompt, Sample, SamplingParams, StopReason
from assay.policies.replay import ReplayPolicy


def stored(round_: int, index: int, key: str = "s/1", snapshot: str = "base") -> Sample:
    return Sample(
        id=f"{round_}:{key}:{index}",
        task_key=key,
        round=round_,
        index=index,
        snapshot_id=snapshot,
        prompt_hash="p",
        prompt_tokens=11,
        params=SamplingParams(),
        completion=Completion(
            tokens=(round_, index), logprobs=(-0.5, -1.5), text=f"{round_}.{index}", stop_reason=StopReason.STOP
        ),
    )


def prompt(key: str = "s/1") -> Prompt:
    return Prompt(task_key=key, format="body", kind="completion", text="x")


def texts(policy: ReplayPolicy, key: str, n: int) -> list[str]:
    draw = asyncio.run(policy.base().sample(prompt(key), n, SamplingParams()))
    assert draw.prompt_tokens == 11
    return [completion.text for completion in draw.completions]


def test_samples_come_back_in_order_of_round_and_index_and_each_once() -> None:
    policy = ReplayPolicy([stored(1, 0), stored(0, 1), stored(0, 0), stored(0, 0, key="s/2")])
    assert texts(policy, "s/1", 2) == ["0.0", "0.1"]
    assert texts(policy, "s/2", 1) == ["0.0"]
    assert texts(policy, "s/1", 1) == ["1.0"]


def test_asking_for_more_than_is_stored_is_a_usage_error_and_uses_nothing_up() -> None:
    policy = ReplayPolicy([stored(0, 0), stored(0, 1)], name="replay:runs/a")
    with pytest.raises(UsageError, match="replay:runs/a holds 2 samples of s/1"):
        texts(policy, "s/1", 3)
    assert texts(policy, "s/1", 2) == ["0.0", "0.1"]
    with pytest.raises(UsageError, match="2 of them already given"):
        texts(policy, "s/1", 1)


def test_a_task_that_was_not_sampled_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="holds 0 samples of s/9"):
        texts(ReplayPolicy([stored(0, 0)]), "s/9", 1)


def test_stored_completions_are_scored_with_their_stored_logprobs_and_others_not_at_all() -> None:
    sampler = ReplayPolicy([stored(0, 1)]).base()
    assert asyncio.run(sampler.score(prompt(), (0, 1))).logprobs == (-0.5, -1.5)
    with pytest.raises(UsageError, match="no completion of s/1"):
        asyncio.run(sampler.score(prompt(), (9,)))
    with pytest.raises(UsageError, match="top-k"):
        asyncio.run(sampler.score(prompt(), (0, 1), topk=2))


def test_the_id_follows_the_stored_samples_and_not_their_order() -> None:
    first = ReplayPolicy([stored(0, 0), stored(0, 1)]).base().id
    assert first == ReplayPolicy([stored(0, 1), stored(0, 0)]).base().id
    assert first != ReplayPolicy([stored(0, 0)]).base().id


def test_stored_samples_cannot_be_trained() -> None:
    with pytest.raises(UsageError, match="cannot be adapted"):
        asyncio.run(ReplayPolicy([]).trainer(LoraConfig()))
