"""One model over several devices: layers are placed whole, and models with the library's hooks sample and learn.

No CPU has two devices, so the hooks that move tensors between them run here with the same device at both ends.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import dispatch_model
from tiny_models import save_tiny, tiny_model

from assay.core.errors import UsageError
from assay.core.protocols import AdamConfig, DistillItem, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies.fused_step import can_fuse
from assay.policies.local import LocalPolicy, load_local
from assay.policies.spreading import placed
from assay.policies.weights import load_weights

PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="class Model(nn.Module):\n", stop=("e",))
PARTS = ("model.embed_tokens", "model.layers.0", "model.layers.1", "model.norm", "lm_head")
FAST = AdamConfig(learning_rate=1e-2)


def bytes_of(module: torch.nn.Module) -> int:
    return sum(weight.nbytes for weight in module.parameters())


def hooked(folder: Path) -> LocalPolicy:
    """A model whose every part has a hook that moves what it is given."""
    loaded = load_weights(f"local:{folder}")
    dispatch: Any = dispatch_model  # whose annotations leave out the names of devices that it takes
    dispatch(
        loaded.model,
        dict.fromkeys((*PARTS, "model.rotary_emb"), "cpu"),
        main_device="cpu",
        skip_keys=sorted(loaded.model._skip_keys_device_placement or ()),
        force_hooks=True,
    )
    assert hasattr(loaded.model.get_submodule("model.layers.1"), "_hf_hook")
    return LocalPolicy(loaded)


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_layers_stay_whole_in_order_and_every_weight_has_one_place(family: str) -> None:
    model = tiny_model(family)
    found = placed(model, {0: bytes_of(model), 3: bytes_of(model)})
    assert set(found) == {*PARTS, "model.rotary_emb"}
    assert [found[name] for name in PARTS] == sorted(found[name] for name in PARTS)
    assert set(found.values()) == {0, 3}


def test_the_weights_follow_the_room_of_each_device() -> None:
    model = tiny_model("llama", layers=12)
    for first, second in ((1, 1), (1, 3)):
        found = placed(model, {0: first * bytes_of(model), 1: second * bytes_of(model)})
        there = sum(bytes_of(model.get_submodule(name)) for name, index in found.items() if index == 0)
        assert there / bytes_of(model) == pytest.approx(first / (first + second), abs=0.1)


def test_devices_with_room_for_many_such_models_still_share_it() -> None:
    model = tiny_model("llama", layers=12)
    found = placed(model, {0: 5000 * bytes_of(model), 1: 5000 * bytes_of(model)})
    there = sum(bytes_of(model.get_submodule(name)) for name, index in found.items() if index == 0)
    assert there / bytes_of(model) == pytest.approx(0.5, abs=0.1)


def test_an_output_embedding_that_is_the_input_embedding_lies_where_that_does() -> None:
    model = tiny_model("qwen2", tie_word_embeddings=True)
    found = placed(model, {0: bytes_of(model), 1: bytes_of(model)})
    assert found["lm_head"] == found["model.embed_tokens"] == 0
    assert found["model.norm"] == 1


def test_a_model_that_does_not_fit_names_its_size_and_the_devices() -> None:
    model = tiny_model("llama")
    with pytest.raises(UsageError, match=r"take 0\.0 GB, and cuda:0, cuda:1 have room"):
        placed(model, {0: bytes_of(model) // 4, 1: bytes_of(model) // 4})


def test_a_spread_model_without_a_cuda_device_is_refused(tiny_folders: dict[str, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UsageError, match="no CUDA device"):
        load_local(f"local:{tiny_folders['llama']}", "cuda:0+cuda:1")


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_a_model_with_hooks_draws_scores_and_learns_as_one_without(tiny_folders: dict[str, Path], family: str) -> None:
    policies = [load_local(f"local:{tiny_folders[family]}"), hooked(tiny_folders[family])]
    params = SamplingParams(temperature=1.2, max_tokens=24, seed=1)
    draws = [asyncio.run(policy.base().sample(PROMPT, 7, params)) for policy in policies]
    assert draws[0] == draws[1]
    first = draws[0].completions[0]
    found = []
    for policy in policies:
        scored = asyncio.run(policy.base().score(PROMPT, first.tokens, 5))
        assert scored.logprobs == pytest.approx(first.logprobs, abs=1e-4)
        trainer = asyncio.run(policy.trainer(LoraConfig(rank=4, alpha=8)))
        n = len(first.tokens)
        items = [
            TrainItem(PROMPT, c.tokens, c.logprobs, (a,) * len(c.tokens), (1.0,) * len(c.tokens))
            for c, a in zip(draws[0].completions, (1.0, -1.0, 0.5), strict=False)
        ]
        reports = [asyncio.run(trainer.step(items, "importance_sampling", FAST)) for _ in range(2)]
        target = DistillItem(PROMPT, first.tokens, first.logprobs, scored.topk, (1.0,) * n)
        reports.append(asyncio.run(trainer.distill([target], 0.5, FAST)))
        snapshot = asyncio.run(trainer.snapshot("after"))
        after = asyncio.run(snapshot.sample(PROMPT, 3, params))
        found.append(([(r.loss, r.grad_norm, r.kl) for r in reports], [c.tokens for c in after.completions]))
    assert found[1][1] == found[0][1]
    for one, other in zip(found[0][0], found[1][0], strict=True):
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5)


def test_the_library_is_told_how_many_places_are_scored_and_not_which(tiny_folders: dict[str, Path]) -> None:
    policy = load_local(f"local:{tiny_folders['mistral']}")
    trainer = asyncio.run(policy.trainer(LoraConfig(rank=4, alpha=8)))
    model: Any = policy._loaded.model
    told: list[Any] = []

    def forward(*arguments: Any, **named: Any) -> Any:
        told.append(named["logits_to_keep"])
        return plain(*arguments, **named)

    draw = asyncio.run(policy.base().sample(PROMPT, 2, SamplingParams(temperature=1.0, max_tokens=9)))
    plain, model.forward = model.forward, forward
    items = [
        TrainItem(PROMPT, c.tokens, c.logprobs, (1.0,) * len(c.tokens), (1.0,) * len(c.tokens))
        for c in draw.completions
    ]
    asyncio.run(trainer.step(items, "importance_sampling", FAST))
    assert told == [len(c.tokens) for c in draw.completions]  # a tensor would be on the first of several devices


def test_a_model_on_several_devices_is_not_captured(tiny_folders: dict[str, Path]) -> None:
    model = load_weights(f"local:{tiny_folders['llama']}").model
    model.get_submodule("model.layers.1").to("meta")
    assert not can_fuse(model)


def test_a_mixture_of_experts_adapts_its_attention_alone(tmp_path: Path) -> None:
    policy = load_local(f"local:{save_tiny(tmp_path, 'gpt_oss')}")
    trainer = asyncio.run(policy.trainer(LoraConfig(rank=4, alpha=8)))
    found = {key.split(".")[-3] for key in trainer._parameters}
    assert found == {"q_proj", "k_proj", "v_proj", "o_proj"}
    draw = asyncio.run(policy.base().sample(PROMPT, 3, SamplingParams(temperature=1.0, max_tokens=24)))
    good = draw.completions[0]
    scored = asyncio.run(policy.base().score(PROMPT, good.tokens))
    assert scored.logprobs == pytest.approx(good.logprobs, abs=1e-4)
    n = len(good.tokens)
    for _ in range(3):
        item = TrainItem(PROMPT, good.tokens, good.logprobs, (1.0,) * n, (1.0,) * n)
        asyncio.run(trainer.step([item], "importance_sampling", FAST))
    after = asyncio.run(asyncio.run(trainer.snapshot("after")).score(PROMPT, good.tokens))
    assert sum(after.logprobs) > sum(good.logprobs)
