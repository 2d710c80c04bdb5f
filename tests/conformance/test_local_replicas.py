"""Several copies of a model are one policy: the same draws, the same gradients, the same weights on every copy."""

import asyncio
from pathlib import Path

import pytest
import torch
from torch import Tensor

from assay.core.errors import NotFiniteError, UsageError
from assay.core.protocols import AdamConfig, DistillItem, LoraConfig, TrainItem
from assay.core.records import Completion, Prompt, SamplingParams
from assay.policies.gradients import shares
from assay.policies.local import LocalPolicy, load_local
from assay.policies.sampler import LocalSampler, even_shares
from assay.policies.trainer import LocalTrainer

FAST = AdamConfig(learning_rate=1e-2)
LORA = LoraConfig(rank=4, alpha=8)


def prompt(text: str = "def forward(self, x):\n    return", key: str = "t/1") -> Prompt:
    return Prompt(task_key=key, format="body", kind="completion", text=text, stop=("e",))


@pytest.fixture(params=["qwen2", "mistral"])
def folder(request: pytest.FixtureRequest, tiny_folders: dict[str, Path]) -> Path:
    return tiny_folders[request.param]


@pytest.fixture
def one(folder: Path) -> LocalPolicy:
    return load_local(f"local:{folder}")


@pytest.fixture
def two(folder: Path) -> LocalPolicy:
    return load_local(f"local:{folder}", "cpu,cpu")


def sample(sampler: LocalSampler, what: Prompt, n: int, **params: float) -> tuple[Completion, ...]:
    settings = SamplingParams.model_validate({"temperature": 1.0, "max_tokens": 24, **params})
    return asyncio.run(sampler.sample(what, n, settings)).completions


def items(policy: LocalPolicy, advantages: dict[str, list[float]]) -> list[TrainItem]:
    """Completions of each text with these advantages, prompts by turns."""
    made = []
    for text, values in advantages.items():
        for c, a in zip(sample(policy.base(), prompt(text), len(values)), values, strict=True):
            n = len(c.tokens)
            made.append(TrainItem(prompt(text), c.tokens, c.logprobs, (a,) * n, (1.0,) * n))
    return made[::2] + made[1::2]


def assert_same(first: tuple[Completion, ...], second: tuple[Completion, ...]) -> None:
    assert [c.tokens for c in first] == [c.tokens for c in second]
    assert [(c.text, c.stop_reason) for c in first] == [(c.text, c.stop_reason) for c in second]
    for a, b in zip(first, second, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-4)


def weights(trainer: LocalTrainer) -> list[dict[str, Tensor]]:
    return [{key: p.detach().clone() for key, p in passes.parameters.items()} for passes in trainer._passes]


def assert_bit_equal(trainer: LocalTrainer) -> None:
    first, *others = weights(trainer)
    for other in others:
        assert first.keys() == other.keys()
        assert all(torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("n", [1, 2, 7, 16])
@pytest.mark.parametrize("params", [{}, {"temperature": 0.0}, {"top_p": 0.8}])
def test_a_draw_does_not_depend_on_the_number_of_replicas(
    one: LocalPolicy, two: LocalPolicy, n: int, params: dict[str, float]
) -> None:
    assert two.base().id == one.base().id
    assert_same(sample(one.base(), prompt(), n, seed=3, **params), sample(two.base(), prompt(), n, seed=3, **params))


def test_draws_and_scores_at_once_give_what_calls_in_turn_give(one: LocalPolicy, two: LocalPolicy) -> None:
    prompts = [prompt(text) for text in ("x", "import torch", "return x +")]
    drawn = [sample(one.base(), what, 3) for what in prompts]

    async def together() -> list[tuple[Completion, ...]]:
        params = SamplingParams(temperature=1.0, max_tokens=24)
        base = two.base()
        draws = await asyncio.gather(*(base.sample(what, 3, params) for what in prompts))
        scored = await asyncio.gather(
            *(base.score(what, c.tokens) for what, draw in zip(prompts, draws, strict=True) for c in draw.completions)
        )
        flat = [c for draw in draws for c in draw.completions]
        for found, c in zip(scored, flat, strict=True):
            assert found.logprobs == pytest.approx(c.logprobs, abs=1e-4)
        return [draw.completions for draw in draws]

    for mine, theirs in zip(asyncio.run(together()), drawn, strict=True):
        assert_same(mine, theirs)


def test_the_gradient_is_that_of_one_device(one: LocalPolicy, two: LocalPolicy) -> None:
    learned = items(one, {"x": [1.0, -2.0, 0.5], "import torch": [1.0, 0.25], "return": [-1.0]})
    found = []
    for policy in (one, two):
        trainer = asyncio.run(policy.trainer(LORA))
        asyncio.run(trainer.step(learned, "cross_entropy", FAST))  # B is zero before, and A has no gradient
        parts = asyncio.run(trainer.gradient(learned, "importance_sampling"))
        found.append(torch.cat([parts[key].flatten() for key in sorted(parts)]))
        assert all(p.grad is None for passes in trainer._passes for p in passes.parameters.values())
    norm = float(found[0].norm())
    assert norm > 0
    assert torch.allclose(found[0], found[1], rtol=1e-3, atol=1e-4 * norm)


def test_updates_are_those_of_one_device_and_adapters_stay_bit_equal(one: LocalPolicy, two: LocalPolicy) -> None:
    learned = items(one, {"x": [1.0, -2.0, 0.5], "import torch": [1.0]})
    trainers = [asyncio.run(policy.trainer(LORA)) for policy in (one, two)]
    assert_bit_equal(trainers[1])
    for _ in range(3):
        reports = [asyncio.run(trainer.step(learned, "importance_sampling", FAST)) for trainer in trainers]
        assert reports[1].tokens == reports[0].tokens
        for name in ("loss", "grad_norm", "kl"):
            assert getattr(reports[1], name) == pytest.approx(getattr(reports[0], name), rel=1e-3, abs=1e-4)
        assert_bit_equal(trainers[1])
    snapshots = [asyncio.run(trainer.snapshot("now")) for trainer in trainers]
    for what in (prompt("x"), prompt("torch.relu(")):
        assert_same(*(sample(snapshot, what, 5, max_tokens=12) for snapshot in snapshots))


def test_a_snapshot_stays_on_every_replica_while_training_goes_on(two: LocalPolicy) -> None:
    learned = items(two, {"x": [1.0, -1.0]})
    trainer = asyncio.run(two.trainer(LORA))
    asyncio.run(trainer.step(learned, "cross_entropy", FAST))
    snapshot = asyncio.run(trainer.snapshot("one"))
    before = sample(snapshot, prompt(), 6)
    base = sample(two.base(), prompt(), 6)
    for _ in range(3):
        asyncio.run(trainer.step(learned, "cross_entropy", FAST))
    assert sample(snapshot, prompt(), 6) == before
    assert sample(two.base(), prompt(), 6) == base
    assert asyncio.run(trainer.snapshot("later")).id != snapshot.id


def test_a_saved_trainer_goes_on_with_another_number_of_replicas(
    one: LocalPolicy, two: LocalPolicy, tmp_path: Path
) -> None:
    learned = items(one, {"x": [1.0, -2.0, 0.5]})
    first = asyncio.run(one.trainer(LORA))
    asyncio.run(first.step(learned, "importance_sampling", FAST))
    asyncio.run(first.average(0.1))
    asyncio.run(first.save(tmp_path / "saved"))
    second = asyncio.run(two.trainer(LORA, tmp_path / "saved"))
    assert_bit_equal(second)
    assert asyncio.run(second.snapshot("s")).id == asyncio.run(first.snapshot("s")).id
    averaged = [asyncio.run(trainer.averaged("a")) for trainer in (first, second)]
    assert averaged[0].id == averaged[1].id
    for trainer in (first, second):
        asyncio.run(trainer.step(learned, "importance_sampling", FAST))
    assert_bit_equal(second)
    for key, value in weights(first)[0].items():
        assert torch.allclose(value, weights(second)[0][key], atol=2e-3)


def test_distillation_is_that_of_one_device(one: LocalPolicy, two: LocalPolicy) -> None:
    made = []
    for c in sample(one.base(), prompt("# teacher"), 3):
        scored = asyncio.run(one.base().score(prompt("# teacher"), c.tokens, 5))
        made.append(DistillItem(prompt(), c.tokens, c.logprobs, scored.topk, (1.0,) * len(c.tokens)))
    reports = [asyncio.run(asyncio.run(policy.trainer(LORA)).distill(made, 0.5, FAST)) for policy in (one, two)]
    assert reports[1].loss == pytest.approx(reports[0].loss, rel=1e-3)
    assert reports[1].grad_norm == pytest.approx(reports[0].grad_norm, rel=1e-3)


def test_an_update_that_is_not_finite_leaves_every_replica_as_it_was(two: LocalPolicy) -> None:
    good = items(two, {"x": [1.0, -2.0, 0.5]})
    bad = TrainItem(
        good[0].prompt, good[0].tokens, good[0].behaviour_logprobs, (float("inf"),) * len(good[0].tokens), good[0].mask
    )
    trainer = asyncio.run(two.trainer(LORA))
    asyncio.run(trainer.step(good, "importance_sampling", FAST))
    before = weights(trainer)
    with pytest.raises(NotFiniteError):
        asyncio.run(trainer.step([*good, bad], "importance_sampling", FAST))
    for was, now in zip(before, weights(trainer), strict=True):
        assert all(torch.equal(was[key], now[key]) for key in was)


def test_a_failure_on_one_replica_comes_out_alone(two: LocalPolicy) -> None:
    with pytest.raises(UsageError, match="shorten the prompt"):
        sample(two.base(), prompt("λ " * 200), 4)


def test_a_cancelled_draw_frees_every_replica(two: LocalPolicy) -> None:
    async def cut() -> tuple[Completion, ...]:
        base = two.base()
        task = asyncio.create_task(base.sample(prompt(), 200, SamplingParams(temperature=1.0, max_tokens=120)))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await base.sample(prompt(), 2, SamplingParams(temperature=1.0, max_tokens=4))).completions

    assert len(asyncio.run(cut())) == 2
    assert all(replica.worker.in_hand == 0 for replica in two._replicas)


def test_rows_are_shared_evenly_and_none_is_left_out() -> None:
    assert even_shares(5, 2) == [range(0, 2), range(2, 5)]
    assert even_shares(1, 4) == [range(0, 1)]
    assert [len(part) for part in even_shares(33, 8)] == [4, 4, 4, 4, 4, 4, 4, 5]


def test_items_are_shared_by_tokens_with_equal_prompts_together() -> None:
    def item(text: str, n: int) -> TrainItem:
        return TrainItem(prompt(text), (5,) * n, (-1.0,) * n, (1.0,) * n, (1.0,) * n)

    long, short = item("a", 9), [item("b", 3) for _ in range(3)]
    assert shares([short[0], long, *short[1:]], 2) == [short, [long]]
    assert shares([long], 4) == [[long]]
    assert shares([], 1) == [[]]
    assert sorted(map(len, shares([item("a", 4)] * 8, 4))) == [2, 2, 2, 2]
