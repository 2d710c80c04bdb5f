"""An adapter that a run has saved, read by PEFT itself in the form that servers get: the same model comes out."""

import asyncio
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.core.protocols import AdamConfig, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies.local import load_local
from assay.policies.openai_adapters import read_saved, write_peft

PROMPT = Prompt(task_key="t/1", format="body", kind="completion", text="import torch\nclass Model(nn.Module):\n")


def test_peft_reads_what_a_trainer_saved(tiny_folders: dict[str, Path], tmp_path: Path) -> None:
    async def trained() -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
        policy = load_local(f"local:{tiny_folders['qwen2']}")
        trainer = await policy.trainer(LoraConfig(rank=4, alpha=8))
        tokens = (await policy.base().sample(PROMPT, 1, SamplingParams(max_tokens=12))).completions[0]
        n = len(tokens.tokens)
        item = TrainItem(PROMPT, tokens.tokens, tokens.logprobs, (1.0,) * n, (1.0,) * n)
        for _ in range(3):
            await trainer.step([item], "importance_sampling", AdamConfig(learning_rate=1e-2))
        await trainer.save(tmp_path / "round-0" / "trainer")
        scored = await (await trainer.snapshot("now")).score(PROMPT, tokens.tokens)
        return tokens.tokens, tokens.logprobs, scored.logprobs

    tokens, before, after = asyncio.run(trained())
    write_peft(read_saved(tmp_path / "round-0"), "qwen2", tmp_path / "peft")
    plain = AutoModelForCausalLM.from_pretrained(tiny_folders["qwen2"], dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, tmp_path / "peft")
    ids = AutoTokenizer.from_pretrained(tiny_folders["qwen2"]).encode(PROMPT.text)
    with torch.inference_mode():
        logits = adapted(input_ids=torch.tensor([[*ids, *tokens]])).logits[0, len(ids) - 1 : -1]
    found = torch.log_softmax(logits, -1).gather(-1, torch.tensor(tokens)[:, None])[:, 0].tolist()
    assert found == pytest.approx(after, abs=1e-4)
    assert max(abs(a - b) for a, b in zip(before, after, strict=True)) > 1e-2
