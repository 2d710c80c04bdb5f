"""The Tinker policy on servers of several kinds, with a stand-in for the SDK: what is asked for, and what is refused.

`tests/conformance/test_tinker_server.py` has the same against a real server.
"""

import asyncio
import http.server
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_tinker_sdk import MODEL, AuthenticationError, Behaviour, fake_sdk

from assay.core.errors import NotFiniteError, PolicyError, UsageError
from assay.core.protocols import AdamConfig, LoraConfig, LossName, TrainItem
from assay.core.records import Message, Prompt, SamplingParams
from assay.learning.losses import LOSSES
from assay.policies import tinker_sdk
from assay.policies.tinker import TinkerPolicy, load_tinker
from assay.policies.tinker_facts import HOSTED, ServerFacts, gradient_norm
from assay.policies.tinker_readers import READERS
from assay.policies.tinker_sdk import DEFAULT_MODEL, Address, parse_model

SKYRL = Behaviour(
    reduction="mean",
    is_strict=False,
    says_loss=False,
    says_norm=True,
    topk=0,
    context=None,
    clips=False,
    keeps_snapshots=False,
)
PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="return")
FAST = AdamConfig(learning_rate=0.05, max_grad_norm=None)
LORA = LoraConfig(rank=4)

Load = Callable[..., tuple[TinkerPolicy, Any]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server that answers, and has nothing to say."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, url: str) -> Load:
    """A policy at a server of a kind; with `is_hosted` at what stands for the hosted service."""

    def policy(behaviour: Behaviour | None = None, is_hosted: bool = False) -> tuple[TinkerPolicy, Any]:
        sdk = fake_sdk(behaviour)
        monkeypatch.setitem(sys.modules, "tinker", sdk)
        monkeypatch.setattr(tinker_sdk, "HOSTED_URL", url)
        monkeypatch.setenv("TINKER_API_KEY", "tml-secret-of-the-test")
        return load_tinker(f"tinker:{MODEL}" + ("" if is_hosted else f"@{url}")), sdk.server

    return policy


def items_of(policy: TinkerPolicy, advantages: tuple[float, ...] = (1.0, -0.5, 2.0)) -> list[TrainItem]:
    draw = asyncio.run(policy.base().sample(PROMPT, len(advantages), SamplingParams(temperature=1.0, max_tokens=9)))
    cut = [(one.tokens[: 9 - place], one.logprobs[: 9 - place]) for place, one in enumerate(draw.completions)]
    return [
        TrainItem(PROMPT, tokens, logprobs, (advantage,) * len(tokens), (1.0,) * len(tokens))
        for (tokens, logprobs), advantage in zip(cut, advantages, strict=True)
    ]


def trained(policy: TinkerPolicy, loss: LossName, adam: AdamConfig = FAST, steps: int = 3) -> list[float]:
    """Scores after some steps."""

    async def train() -> list[float]:
        trainer = await policy.trainer(LORA)
        for _ in range(steps):
            await trainer.step(items, loss, adam)
        snapshot = await trainer.snapshot("after")
        return [lp for one in items for lp in (await snapshot.score(PROMPT, one.tokens)).logprobs]

    items = items_of(policy)
    return asyncio.run(train())


# -- where a model is -------------------------------------------------------------------------------------------------


def test_a_model_is_at_its_url_or_at_the_hosted_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TINKER_BASE_URL", raising=False)
    assert parse_model("tinker:a/b") == Address("a/b", None)
    assert parse_model("tinker:/m@x/y@http://h:1/") == Address("/m@x/y", "http://h:1")
    assert parse_model("tinker:") == parse_model("tinker:openai/gpt-oss-120b") == parse_model("openai/gpt-oss-120b")
    assert parse_model("tinker:").model == DEFAULT_MODEL
    monkeypatch.setenv("TINKER_BASE_URL", "https://t.example/")
    assert parse_model("tinker:a/b").spec == "tinker:a/b@https://t.example"
    with pytest.raises(UsageError, match="tinker:a@http://localhost:8000"):
        parse_model("tinker:a@localhost:8000")


def test_a_missing_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinker", None)
    with pytest.raises(UsageError, match=r"assay-lab\[tinker\]"):
        load_tinker("tinker:a@http://127.0.0.1:1")


def test_no_key_for_the_hosted_service_says_where_one_is_put(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinker", fake_sdk())
    for name in ("TINKER_API_KEY", "TINKER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"TINKER_API_KEY=tml-.*\.env"):
        load_tinker("tinker:")


def test_nobody_at_the_url_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinker", fake_sdk())
    with pytest.raises(PolicyError, match=r"no server answers at http://127\.0\.0\.1:1"):
        load_tinker("tinker:a@http://127.0.0.1:1")


def test_an_unknown_model_is_refused_with_those_that_there_are(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setitem(sys.modules, "tinker", fake_sdk())
    with pytest.raises(UsageError, match=f"no model 'a/b'; it has {MODEL}"):
        load_tinker(f"tinker:a/b@{url}")


def test_the_key_goes_to_the_hosted_service_and_to_no_server_on_this_machine(load: Load) -> None:
    assert load(is_hosted=True)[1].keys == ["tml-secret-of-the-test"]
    assert load()[1].keys == ["tml-none"]


def test_a_rejected_key_is_the_user_s_to_mend_and_is_not_shown(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    policy, server = load(is_hosted=True)
    server.fails["compute_logprobs"] = AuthenticationError("bad key tml-secret-of-the-test")
    with pytest.raises(UsageError, match="set TINKER_API_KEY") as found:
        asyncio.run(policy.base().score(PROMPT, (5,)))
    assert "secret" not in str(found.value)


def test_an_sdk_of_another_protocol_names_the_version_to_install(load: Load) -> None:
    policy, server = load()
    server.fails["sample"] = ValueError("a JSON payload, which this SDK version only supports as proto.")
    with pytest.raises(UsageError, match=r"tinker==0\.24\.1"):
        asyncio.run(policy.base().sample(PROMPT, 1, SamplingParams(temperature=1.0)))


# -- what a server is like --------------------------------------------------------------------------------------------


def test_the_hosted_service_is_taken_at_its_word(load: Load) -> None:
    policy, server = load(is_hosted=True)
    asyncio.run(policy.trainer(LORA))
    assert policy._bench is not None and policy._bench.facts == HOSTED
    assert not [event for event in server.events if "forward" in event]


@pytest.mark.parametrize(
    ("behaviour", "facts"),
    [
        (Behaviour(), HOSTED),
        (SKYRL, ServerFacts("mean", keeps_snapshots=False, clips=False)),
        (replace(SKYRL, reduction="sum"), ServerFacts("sum", keeps_snapshots=False, clips=False)),
        (replace(SKYRL, clips=True), ServerFacts("mean", keeps_snapshots=False, clips=True)),
        (replace(SKYRL, keeps_snapshots=True), ServerFacts("mean", keeps_snapshots=True, clips=False)),
    ],
)
def test_a_server_with_a_url_is_asked_how_it_computes(load: Load, behaviour: Behaviour, facts: ServerFacts) -> None:
    policy, _ = load(behaviour)
    asyncio.run(policy.trainer(LORA))
    assert policy._bench is not None and policy._bench.facts == facts


def test_a_reduction_that_cannot_be_corrected_is_refused(load: Load) -> None:
    with pytest.raises(UsageError, match="not corrected here"):
        asyncio.run(load(replace(SKYRL, reduction="tokens"))[0].trainer(LORA))
    with pytest.raises(UsageError, match="cannot be told"):
        asyncio.run(load(replace(SKYRL, says_norm=False))[0].trainer(LORA))


def test_the_norm_is_found_by_whatever_name() -> None:
    assert gradient_norm({"skyrl.ai/learning_rate": 1.0, "skyrl.ai/grad_norm": 2.0}) == 2.0
    assert gradient_norm({"unclipped_grad_l2_norm:mean": 3.0}) == 3.0
    assert gradient_norm({"norm": 1.0}) is None and gradient_norm(None) is None


# -- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_server_of_means_and_one_of_sums_are_trained_alike(load: Load, loss: LossName) -> None:
    expected = trained(load(is_hosted=True)[0], loss)
    assert trained(load(SKYRL)[0], loss) == pytest.approx(expected, abs=1e-6)
    assert trained(load(replace(SKYRL, reduction="sum"))[0], loss) == pytest.approx(expected, abs=1e-6)


def test_a_server_that_does_not_clip_is_trained_like_one_that_does(load: Load) -> None:
    tight = AdamConfig(learning_rate=0.05, epsilon=1.0, max_grad_norm=0.3)
    expected = trained(load(is_hosted=True)[0], "importance_sampling", tight)
    assert trained(load(SKYRL)[0], "importance_sampling", tight) == pytest.approx(expected, abs=1e-6)
    assert trained(load(SKYRL)[0], "importance_sampling", replace(tight, max_grad_norm=None)) != pytest.approx(
        expected, abs=1e-3
    )


def test_the_pass_and_the_step_are_under_way_before_either_is_waited_for(load: Load) -> None:
    policy, server = load(is_hosted=True)
    trainer = asyncio.run(policy.trainer(LORA))
    items = items_of(policy)
    server.events.clear()
    asyncio.run(trainer.step(items, "importance_sampling", FAST))
    assert server.events[:3] == ["ask forward_backward", "ask optim_step", "done forward_backward"]


def test_custom_losses_which_other_servers_compute_wrongly_are_never_asked_for() -> None:
    sources = sorted(Path(tinker_sdk.__file__).parent.glob("tinker*.py"))
    assert len(sources) > 5
    assert not [path.name for path in sources if "forward_backward_custom" in path.read_text()]


def test_both_generations_of_the_sdk_are_spoken_to(load: Load) -> None:
    old, new = (load(Behaviour(is_new=is_new), is_hosted=True)[0] for is_new in (False, True))
    assert trained(old, "importance_sampling") == trained(new, "importance_sampling")
    asyncio.run(new.close())
    new._endpoint.connection.sdk.server.fails["close"] = ValueError("404")
    asyncio.run(new.close())  # nothing depends on it


def test_equal_updates_give_equal_ids_and_the_first_is_the_base_s(load: Load) -> None:
    async def ids(policy: TinkerPolicy, rate: float) -> list[str]:
        trainer = await policy.trainer(LORA)
        found = [(await trainer.snapshot("0")).id]
        for _ in range(2):
            await trainer.step(items, "importance_sampling", replace(FAST, learning_rate=rate))
            found.append((await trainer.snapshot("now")).id)
        return found

    policy, _ = load(is_hosted=True)
    items = items_of(policy)
    first = asyncio.run(ids(policy, 0.1))
    assert first == asyncio.run(ids(policy, 0.1))
    assert first[0] == policy.base().id
    assert len({*first, *asyncio.run(ids(policy, 0.2))}) == 5


@pytest.mark.parametrize("behaviour", [Behaviour(), SKYRL])
def test_snapshots_stay_and_do_not_disturb_the_training(load: Load, behaviour: Behaviour) -> None:
    async def train(policy: TinkerPolicy, look_back: bool) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
        """Scores of every snapshot when it was new, and of all at the end."""
        trainer, one = await policy.trainer(LORA), items[0]
        snapshots, fresh = [], []
        for _ in range(READERS + 2):
            await trainer.step(items, "importance_sampling", FAST)
            snapshots.append(await trainer.snapshot("now"))
            fresh.append((await snapshots[-1].score(PROMPT, one.tokens)).logprobs)
            if look_back:
                await snapshots[0].score(PROMPT, one.tokens)
        return fresh, [(await snapshot.score(PROMPT, one.tokens)).logprobs for snapshot in snapshots]

    policy, _ = load(behaviour)
    items = items_of(policy)
    fresh, later = asyncio.run(train(policy, look_back=True))
    assert fresh == later and len(set(fresh)) == READERS + 2
    undisturbed, _ = asyncio.run(train(policy, look_back=False))
    assert undisturbed == fresh


def test_the_state_is_saved_once_for_the_same_updates(load: Load, tmp_path: Path) -> None:
    policy, server = load(is_hosted=True)
    trainer = asyncio.run(policy.trainer(LORA))
    asyncio.run(trainer.step(items_of(policy), "importance_sampling", FAST))
    for name in ("a", "b", "a"):
        asyncio.run(trainer.save(tmp_path / name))
    assert server.events.count("ask save_state") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_failed_future_ends_the_trainer_until_it_is_loaded_again(load: Load, tmp_path: Path) -> None:
    policy, server = load(is_hosted=True)
    trainer = asyncio.run(policy.trainer(LORA))
    items = items_of(policy)
    asyncio.run(trainer.step(items, "importance_sampling", FAST))
    asyncio.run(trainer.save(tmp_path / "a"))
    server.fails["optim_step"] = ValueError("out of memory")
    with pytest.raises(PolicyError, match=r"the optimizer step failed: out of memory.*assay resume"):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    server.fails.clear()
    for use in (trainer.snapshot("x"), trainer.step(items, "ppo", FAST), trainer.save(tmp_path / "b")):
        with pytest.raises(PolicyError, match="unknown state"):
            asyncio.run(use)
    asyncio.run(trainer.load(tmp_path / "a"))
    assert asyncio.run(trainer.step(items, "importance_sampling", FAST)).tokens == sum(len(i.tokens) for i in items)


def test_a_loss_that_is_not_finite_is_told_and_the_weights_are_not_used_again(load: Load) -> None:
    policy, _ = load(is_hosted=True)
    trainer = asyncio.run(policy.trainer(LORA))
    items = [replace(one, behaviour_logprobs=(-1e3,) * len(one.tokens)) for one in items_of(policy)]
    with pytest.raises(NotFiniteError, match="not finite"):
        asyncio.run(trainer.step(items, "importance_sampling", FAST))
    with pytest.raises(PolicyError, match="unknown state"):
        asyncio.run(trainer.snapshot("x"))


def test_a_scale_that_servers_do_not_have_is_refused(load: Load) -> None:
    with pytest.raises(UsageError, match=r"--set strategy\.alpha=32"):
        asyncio.run(load(is_hosted=True)[0].trainer(LoraConfig(rank=4, alpha=8)))


# -- sampling and scoring ---------------------------------------------------------------------------------------------


def test_tempered_logprobs_are_scored_again_and_raw_ones_are_not(load: Load) -> None:
    for is_tempered in (True, False):
        policy, server = load(Behaviour(is_tempered=is_tempered), is_hosted=True)
        draw = asyncio.run(policy.base().sample(PROMPT, 4, SamplingParams(temperature=0.4, max_tokens=20)))
        asked = server.events.count("ask compute_logprobs")
        assert asked == (4 + 4 if is_tempered else 4)  # of the probe, and of the draw
        for one in draw.completions:
            scored = asyncio.run(policy.base().score(PROMPT, one.tokens))
            assert one.logprobs == pytest.approx(scored.logprobs, abs=1e-9)


def test_nothing_is_asked_about_temperature_where_it_is_one(load: Load) -> None:
    policy, server = load(Behaviour(is_tempered=True), is_hosted=True)
    asyncio.run(policy.base().sample(PROMPT, 4, SamplingParams(temperature=1.0, max_tokens=5)))
    assert "ask compute_logprobs" not in server.events


def test_topk_is_what_the_server_gives(load: Load) -> None:
    policy, _ = load(is_hosted=True)
    assert policy.capabilities.topk == 20
    scored = asyncio.run(policy.base().score(PROMPT, (5, 6, 7), topk=3))
    assert [len(place) for place in scored.topk] == [3, 3, 3]
    assert all(place[0][1] >= logprob for place, logprob in zip(scored.topk, scored.logprobs, strict=True))
    with pytest.raises(UsageError, match="gives 20 top-k"):
        asyncio.run(policy.base().score(PROMPT, (5,), topk=21))
    none, _ = load(SKYRL)
    assert none.capabilities.topk == 0
    with pytest.raises(UsageError, match="gives no top-k"):
        asyncio.run(none.base().score(PROMPT, (5,), topk=1))


def test_a_prompt_that_fills_the_context_names_both_lengths(load: Load) -> None:
    policy, _ = load(is_hosted=True)
    long = PROMPT.model_copy(update={"text": "x" * 200})
    with pytest.raises(UsageError, match=r"t/1 has 200 tokens.*holds 200"):
        asyncio.run(policy.base().sample(long, 1, SamplingParams()))
    short = PROMPT.model_copy(update={"text": "x" * 195})
    draw = asyncio.run(policy.base().sample(short, 1, SamplingParams(temperature=1.0, max_tokens=50)))
    assert len(draw.completions[0].tokens) <= 5
    with pytest.raises(UsageError, match="holds 200"):
        asyncio.run(policy.base().score(short, (5,) * 6))


def test_a_chat_without_a_template_is_refused(load: Load) -> None:
    chat = Prompt(task_key="t/1", format="body", kind="chat", messages=(Message(role="user", content="hi"),))
    with pytest.raises(UsageError, match="no chat template"):
        asyncio.run(load()[0].base().sample(chat, 1, SamplingParams()))


def test_many_draws_are_under_way_at_once(load: Load) -> None:
    policy, server = load(Behaviour(is_new=True), is_hosted=True)
    server.events.clear()

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for seed in range(5):
                params = SamplingParams(temperature=1.0, max_tokens=4, seed=seed)
                group.create_task(policy.base().sample(PROMPT, 2, params))

    asyncio.run(together())
    assert server.events.count("ask sample") == 5
