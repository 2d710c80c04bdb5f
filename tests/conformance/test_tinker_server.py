"""The Tinker policy against a real server: everything that every policy must pass, and what a trainer must.

Needs ASSAY_TINKER_MODEL, `tinker:NAME@URL` of a server that runs; `make tinker-conformance` starts one. The server's
gradients are seen through its steps: with an epsilon far above every gradient, a step of a fresh adapter moves
log-probabilities in proportion to the gradient.
"""

import asyncio
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

# Collected here too, where `policy` is the one below.
from test_policy_conformance import (  # noqa: F401
    test_a_chat_prompt_is_answered,
    test_a_draw_has_n_completions_of_at_most_max_tokens,
    test_a_prompt_beyond_ascii_is_sampled_and_scored,
    test_a_prompt_longer_than_the_context_names_both_lengths,
    test_a_snapshot_has_one_id,
    test_a_stop_string_ends_the_completion_and_is_not_in_its_text,
    test_an_empty_completion_scores_to_nothing,
    test_asking_for_more_rows_leaves_the_first_rows_as_they_were,
    test_no_rows_is_a_usage_error,
    test_rows_of_one_draw_differ,
    test_sampler_and_scorer_agree_on_raw_logprobs_when_sampled_at_another_temperature,
    test_temperature_zero_gives_equal_rows_for_any_seed,
    test_the_same_seed_gives_the_same_draw_and_another_seed_another_one,
    test_tokens_run_up_to_and_including_the_one_that_completes_the_stop_string,
    test_topk_is_as_declared,
)

from assay.core.errors import PolicyError, UsageError
from assay.core.protocols import AdamConfig, Draw, LoraConfig, LossName, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.learning.losses import LOSSES
from assay.policies.tinker import TinkerPolicy, load_tinker
from assay.policies.tinker_sampler import TinkerSampler
from assay.policies.tinker_sdk import parse_model
from assay.policies.tinker_trainer import STATE_FILE, TinkerTrainer

SPEC = os.environ.get("ASSAY_TINKER_MODEL", "")
pytestmark = [
    pytest.mark.skipif(not SPEC, reason="no Tinker server; make tinker-conformance starts one"),
    pytest.mark.timeout(900),  # a server compiles each shape when it first sees it
]
LORA = LoraConfig(rank=4, seed=3)
FAST = AdamConfig(learning_rate=1e-2, max_grad_norm=None)
EPSILON = 1e6


@pytest.fixture(scope="module")
def policy() -> TinkerPolicy:
    return load_tinker(SPEC)


@pytest.fixture
def trainer(policy: TinkerPolicy) -> TinkerTrainer:
    return asyncio.run(policy.trainer(LORA))


@pytest.fixture(scope="module")
def items(policy: TinkerPolicy) -> list[TrainItem]:
    """Two completions of 12 tokens and one of 7."""
    what = prompt()
    draw = asyncio.run(policy.base().sample(what, 3, SamplingParams(temperature=1.0, max_tokens=12)))
    lengths = (12, 12, 7)
    return [
        item(what, one.tokens[:length], one.logprobs[:length], advantage)
        for one, length, advantage in zip(draw.completions, lengths, (1.0, -0.5, 2.0), strict=True)
    ]


def prompt(text: str = "def forward(self, x):\n    return") -> Prompt:
    return Prompt(task_key="t/1", format="body", kind="completion", text=text)


def item(what: Prompt, tokens: Sequence[int], logprobs: Sequence[float], advantage: float) -> TrainItem:
    n = len(tokens)
    return TrainItem(what, tuple(tokens), tuple(logprobs), (advantage,) * n, (1.0,) * n)


def scaled(items: Sequence[TrainItem], factor: float) -> list[TrainItem]:
    return [replace(one, advantages=tuple(factor * a for a in one.advantages)) for one in items]


def scores(sampler: TinkerSampler, items: Sequence[TrainItem]) -> list[float]:
    async def all_at_once() -> list[float]:
        scored = await asyncio.gather(*(sampler.score(one.prompt, one.tokens) for one in items))
        return [value for one in scored for value in one.logprobs]

    return asyncio.run(all_at_once())


def moved(
    policy: TinkerPolicy,
    learned: Sequence[TrainItem],
    probed: Sequence[TrainItem],
    loss: LossName = "importance_sampling",
    max_grad_norm: float | None = None,
) -> list[float]:
    """How far a step on `learned` from a fresh adapter moves the log-probabilities of `probed`."""
    trainer = asyncio.run(policy.trainer(LORA))
    adam = AdamConfig(learning_rate=EPSILON * 5e-7, epsilon=EPSILON, max_grad_norm=max_grad_norm)
    asyncio.run(trainer.step(learned, loss, adam))
    before = scores(policy.base(), probed)
    after = scores(asyncio.run(trainer.snapshot("moved")), probed)
    return [a - b for a, b in zip(after, before, strict=True)]


def about(values: Sequence[float]) -> object:
    """Within a few percent of the largest, as steps are not infinitely small."""
    return pytest.approx(list(values), abs=0.05 * max(map(abs, values)), rel=0)


def test_an_untouched_adapter_is_the_base_model(trainer: TinkerTrainer, policy: TinkerPolicy) -> None:
    assert asyncio.run(trainer.snapshot("now")).id == policy.base().id


def test_a_negated_advantage_flips_the_gradient_and_a_doubled_one_doubles_it(
    policy: TinkerPolicy, items: list[TrainItem]
) -> None:
    once = moved(policy, items, items)
    assert max(map(abs, once)) > 1e-4
    assert [-value for value in moved(policy, scaled(items, -1), items)] == about(once)
    assert [value / 2 for value in moved(policy, scaled(items, 2), items)] == about(once)


def test_the_gradient_is_a_sum_over_completions_of_unequal_lengths(
    policy: TinkerPolicy, items: list[TrainItem]
) -> None:
    together = moved(policy, items, items)
    apart = [moved(policy, [one], items) for one in items]
    assert together == about([sum(values) for values in zip(*apart, strict=True)])


def test_the_gradient_does_not_depend_on_the_length_of_the_prompt(policy: TinkerPolicy) -> None:
    """The same tokens are learned after a long prompt, and after a short one with the rest of it masked out."""
    short, long = prompt("def forward(self, x):\n    return"), prompt("def forward(self, x):\n    return torch.relu(x)")
    before, whole = policy._endpoint.text.prompt(short), policy._endpoint.text.prompt(long)
    assert whole[: len(before)] == before
    rest, learned = whole[len(before) :], tuple(whole[:6])
    drawn = asyncio.run(policy.base().score(short, (*rest, *learned))).logprobs
    masked = replace(item(short, (*rest, *learned), drawn, 1.0), mask=(0.0,) * len(rest) + (1.0,) * len(learned))
    plain = item(long, learned, drawn[len(rest) :], 1.0)
    assert moved(policy, [masked], [plain]) == about(moved(policy, [plain], [plain]))


@pytest.mark.parametrize("loss", ["ppo", "cispo", "cross_entropy"])
def test_on_the_policy_all_losses_have_the_same_gradient(
    policy: TinkerPolicy, items: list[TrainItem], loss: LossName
) -> None:
    assert moved(policy, items, items, loss) == about(moved(policy, items, items))


def test_the_gradient_is_clipped_to_the_limit(
    policy: TinkerPolicy, trainer: TinkerTrainer, items: list[TrainItem]
) -> None:
    norm = asyncio.run(trainer.step(items, "importance_sampling", FAST)).grad_norm
    assert norm is not None and norm > 0
    free = moved(policy, items, items)
    assert moved(policy, items, items, max_grad_norm=10 * norm) == about(free)
    assert [4 * value for value in moved(policy, items, items, max_grad_norm=norm / 4)] == about(free)


def test_the_report_says_what_was_summed(trainer: TinkerTrainer, items: list[TrainItem]) -> None:
    report = asyncio.run(trainer.step(items, "importance_sampling", FAST))
    assert report.loss == pytest.approx(-sum(sum(one.advantages) for one in items), abs=1e-2)
    assert report.tokens == sum(len(one.tokens) for one in items)
    assert report.kl == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_steps_make_what_was_rewarded_more_likely(
    trainer: TinkerTrainer, policy: TinkerPolicy, items: list[TrainItem], loss: LossName
) -> None:
    good = scaled(items[:1], 1.0)
    for _ in range(3):
        asyncio.run(trainer.step(good, loss, FAST))
    after = scores(asyncio.run(trainer.snapshot("after")), good)
    assert sum(after) > sum(scores(policy.base(), good)) + 0.1


def test_snapshots_and_the_base_stay_what_they_were_while_training_goes_on(
    trainer: TinkerTrainer, policy: TinkerPolicy, items: list[TrainItem]
) -> None:
    base = scores(policy.base(), items)
    params = SamplingParams(max_tokens=12, seed=1)
    kept: list[tuple[TinkerSampler, list[float], Draw]] = []
    for _ in range(4):  # more snapshots than there are adapters to read them into
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
        snapshot = asyncio.run(trainer.snapshot("now"))
        kept.append((snapshot, scores(snapshot, items), asyncio.run(snapshot.sample(prompt("y"), 3, params))))
    assert len({snapshot.id for snapshot, _, _ in kept} | {policy.base().id}) == 5
    for snapshot, before, drawn in kept:
        assert scores(snapshot, items) == pytest.approx(before, abs=1e-5)
        assert asyncio.run(snapshot.sample(prompt("y"), 3, params)).completions[0].tokens == drawn.completions[0].tokens
    assert scores(policy.base(), items) == pytest.approx(base, abs=1e-5)
    assert max(abs(a - b) for a, b in zip(kept[0][1], kept[-1][1], strict=True)) > 1e-2


def test_old_snapshots_that_are_scored_do_not_disturb_the_training(
    policy: TinkerPolicy, items: list[TrainItem]
) -> None:
    async def train(look_back: bool) -> list[float]:
        trainer = await policy.trainer(LORA)
        await trainer.step(items, "importance_sampling", FAST)
        first = await trainer.snapshot("first")
        for _ in range(2):
            await trainer.step(items, "importance_sampling", FAST)
            if look_back:
                await first.score(items[0].prompt, items[0].tokens)
        last = await trainer.snapshot("last")
        return list((await last.score(items[0].prompt, items[0].tokens)).logprobs)

    assert asyncio.run(train(True)) == pytest.approx(asyncio.run(train(False)), abs=1e-4)


def test_snapshots_that_are_used_at_the_same_time_keep_apart(trainer: TinkerTrainer, items: list[TrainItem]) -> None:
    snapshots = []
    for _ in range(4):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
        snapshots.append(asyncio.run(trainer.snapshot("now")))
    one = items[0]

    async def together() -> list[tuple[float, ...]]:
        return [s.logprobs for s in await asyncio.gather(*(s.score(one.prompt, one.tokens) for s in snapshots * 3))]

    in_turn = [scores(snapshot, [one]) for snapshot in snapshots] * 3
    for found, wanted in zip(asyncio.run(together()), in_turn, strict=True):
        assert list(found) == pytest.approx(wanted, abs=1e-5)


def test_a_saved_trainer_goes_on_in_another_session_as_if_nothing_had_happened(
    trainer: TinkerTrainer, items: list[TrainItem], tmp_path: Path
) -> None:
    for _ in range(2):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    asyncio.run(trainer.save(tmp_path / "a" / "step2"))
    saved = asyncio.run(trainer.snapshot("saved"))
    other = load_tinker(SPEC)
    loaded = asyncio.run(other.trainer(LORA, start=tmp_path / "a" / "step2"))
    again = asyncio.run(loaded.snapshot("again"))
    assert again.id == saved.id
    assert scores(again, items) == pytest.approx(scores(saved, items), abs=1e-5)
    for either in (trainer, loaded):
        asyncio.run(either.step(items, "importance_sampling", FAST))
    ends = [asyncio.run(either.snapshot("end")) for either in (trainer, loaded)]
    assert ends[0].id == ends[1].id != saved.id
    assert scores(ends[0], items) == pytest.approx(scores(ends[1], items), abs=1e-4)  # Adam's moments were saved too
    asyncio.run(other.close())


def test_a_trainer_of_another_rank_or_model_or_one_that_the_server_has_not_is_refused(
    policy: TinkerPolicy, trainer: TinkerTrainer, tmp_path: Path
) -> None:
    asyncio.run(trainer.save(tmp_path / "a"))
    with pytest.raises(UsageError, match="another rank"):
        asyncio.run(policy.trainer(replace(LORA, rank=2), start=tmp_path / "a"))
    facts = json.loads((tmp_path / "a" / STATE_FILE).read_text())
    (tmp_path / "a" / STATE_FILE).write_text(json.dumps({**facts, "model": "else"}))
    with pytest.raises(UsageError, match="another model"):
        asyncio.run(policy.trainer(LORA, start=tmp_path / "a"))
    (tmp_path / "a" / STATE_FILE).write_text(json.dumps({**facts, "state": "tinker://gone/weights/gone"}))
    with pytest.raises(PolicyError, match=r"loading tinker://gone/weights/gone failed.*not found"):
        asyncio.run(policy.trainer(LORA, start=tmp_path / "a"))
    with pytest.raises(UsageError, match="holds no saved trainer"):
        asyncio.run(policy.trainer(LORA, start=tmp_path / "none"))


def test_what_the_server_does_not_have_is_refused_with_a_name(policy: TinkerPolicy, trainer: TinkerTrainer) -> None:
    with pytest.raises(UsageError, match="alpha"):
        asyncio.run(policy.trainer(LoraConfig(rank=4, alpha=8)))
    with pytest.raises(PolicyError, match="making an adapter of rank 4000 failed"):
        asyncio.run(policy.trainer(LoraConfig(rank=4000)))
    with pytest.raises(UsageError, match="use one of importance_sampling"):
        asyncio.run(trainer.step([], "dro", FAST))  # pyright: ignore[reportArgumentType]
    address = parse_model(SPEC)
    with pytest.raises(UsageError, match="has no model 'no/such'"):
        load_tinker(f"tinker:no/such@{address.url}")


def test_a_failed_pass_ends_the_trainer_until_it_is_loaded_again(
    trainer: TinkerTrainer, items: list[TrainItem], tmp_path: Path
) -> None:
    asyncio.run(trainer.step(items, "importance_sampling", FAST))
    asyncio.run(trainer.save(tmp_path / "a"))
    kept, trainer._client.model_id = trainer._client.model_id, "gone"
    with pytest.raises(PolicyError, match=r"the forward-backward pass failed.*assay resume"):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    trainer._client.model_id = kept
    with pytest.raises(PolicyError, match="unknown state"):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    asyncio.run(trainer.load(tmp_path / "a"))
    assert asyncio.run(trainer.step(items, "importance_sampling", FAST)).tokens > 0


def test_what_was_found_out_about_skyrl(policy: TinkerPolicy, trainer: TinkerTrainer) -> None:
    """The differences that are corrected. A server that has none of them passes this suite with other facts."""
    facts = trainer._bench.facts
    if facts.reduction == "sum":
        pytest.skip("a server that sums")
    assert (facts.reduction, facts.keeps_snapshots, facts.clips) == ("mean", False, False)
    assert policy._endpoint.is_raw in (None, True) and policy.capabilities.topk == 0
