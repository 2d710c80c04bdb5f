import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from openai_servers import MODEL, serving
from pocket_model import raw_logprobs, tokenize
from safetensors.numpy import load_file, save_file

from assay.core.errors import UsageError
from assay.core.records import Prompt, SamplingParams
from assay.policies.openai_server import OpenAIPolicy, load_openai
from assay.policies.openai_settings import ServerSettings

PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="def f(x):\n    return")
LAYER = "model.layers.0.self_attn.q_proj"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_CACHE", str(tmp_path / "cache"))


def saved(folder: Path, value: float = 0.5) -> Path:
    folder.mkdir(parents=True)
    tensors = {
        f"{LAYER}.lora_A.weight": np.ones((2, 4), np.float32),
        f"{LAYER}.lora_B.weight": np.full((4, 2), value, np.float32),
    }
    save_file(tensors, folder / "adapter.safetensors")
    (folder / "trainer.json").write_text(json.dumps({"base": "x", "rank": 2, "alpha": 4}))
    return folder


def load(url: str, adapter: Path | None) -> OpenAIPolicy:
    return load_openai(f"openai:{MODEL}@{url}", ServerSettings(adapter=adapter, retries=0))


def test_an_adapter_is_loaded_listed_and_sampled_from(tmp_path):
    with serving("vllm") as (url, state):
        base, policy = load(url, None), load(url, saved(tmp_path / "a"))
        draw = asyncio.run(policy.base().sample(PROMPT, 3, SamplingParams(max_tokens=8)))
        scored = asyncio.run(policy.base().score(PROMPT, draw.completions[0].tokens))
    ((name, path),) = state.adapters.items()
    assert policy.base().id != base.base().id and name == f"assay-{policy.base().id}"
    for completion in draw.completions:
        expected = raw_logprobs(tokenize(PROMPT.text), completion.tokens, salt=name)
        assert completion.logprobs == pytest.approx(expected, abs=1e-6)
    assert scored.logprobs == pytest.approx(draw.completions[0].logprobs, abs=1e-6)
    weights = load_file(Path(path) / "adapter_model.safetensors")
    assert sorted(weights) == [f"base_model.model.{LAYER}.lora_{part}.weight" for part in "AB"]
    config = json.loads((Path(path) / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["target_modules"]) == (2, 4, ["q_proj"])


def test_a_loaded_adapter_is_not_loaded_again(tmp_path):
    folder = saved(tmp_path / "a")
    with serving("vllm") as (url, state):
        load(url, folder)
        load(url, folder)
        assert sum(path == "/v1/load_lora_adapter" for path, _ in state.requests) == 1


def test_a_round_of_a_run_is_found_by_its_folder(tmp_path):
    saved(tmp_path / "round-3" / "trainer")
    with serving("vllm") as (url, state):
        load(url, tmp_path / "round-3")
        assert len(state.adapters) == 1


def test_other_weights_have_another_identity(tmp_path):
    with serving("vllm") as (url, _):
        first, second = load(url, saved(tmp_path / "a")), load(url, saved(tmp_path / "b", 0.25))
    assert first.base().id != second.base().id


@pytest.mark.parametrize(
    ("loads", "words"),
    [
        ("ignored", "said that it loaded the adapter .*does not list it"),
        ("idle", "changes nothing"),
        ("off", "--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING"),
    ],
)
def test_an_adapter_that_is_not_in_effect_is_refused(tmp_path, loads, words):
    with serving("vllm", loads=loads) as (url, _), pytest.raises(UsageError, match=words):
        load(url, saved(tmp_path / "a"))


def test_a_new_adapter_changes_nothing_and_may(tmp_path):
    with serving("vllm", loads="idle") as (url, _):
        assert load(url, saved(tmp_path / "a", value=0.0)).base().id


def test_a_folder_without_an_adapter_and_a_server_without_adapters_are_named(tmp_path):
    with serving("vllm") as (url, _), pytest.raises(UsageError, match="no saved adapter there"):
        load(url, tmp_path)
    with serving("llama.cpp") as (url, _), pytest.raises(UsageError, match=r"a llama\.cpp server loads no adapter"):
        load(url, saved(tmp_path / "a"))
