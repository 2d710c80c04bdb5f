"""Tiny models with random weights, made on the spot: every code path of a local policy, offline, in seconds."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CONTEXT = 160
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "class Model(nn.Module):\n    def forward(self, x: torch.Tensor) -> torch.Tensor:\n        return torch.relu(x)\n",
    "import torch\nimport torch.nn as nn\n\n        return x.clamp(min=0) + y @ z\n",
]


def tiny_tokenizer(chat: bool = True) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    if chat:
        wrapped.chat_template = CHAT_TEMPLATE
    return wrapped


def tiny_model(family: str, seed: int = 0, layers: int = 2, **more: Any) -> PreTrainedModel:
    """`more`: settings of the configuration."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": 340,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": CONTEXT,
        "initializer_range": 0.25,
        "bos_token_id": None,
        "eos_token_id": 2,
        **more,
    }
    match family:
        case "llama":
            return LlamaForCausalLM(LlamaConfig(**shape))
        case "qwen2":
            return Qwen2ForCausalLM(Qwen2Config(**shape))
        case "qwen3":
            return Qwen3ForCausalLM(Qwen3Config(**shape))
        case "gpt_oss":  # experts; attention with sinks, and a sliding window in every other layer
            experts: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2, "pad_token_id": 0}
            rope: dict[str, Any] = {"rope_type": "default", "rope_theta": 1e4}
            return GptOssForCausalLM(GptOssConfig(**shape, **experts, sliding_window=16, rope_parameters=rope))
        case "mistral":  # a sliding window shorter than most prompts here
            return MistralForCausalLM(MistralConfig(**shape, sliding_window=16))
    raise ValueError(family)


def save_tiny(folder: Path, family: str, seed: int = 0, chat: bool = True) -> Path:
    tiny_model(family, seed).save_pretrained(folder)
    tiny_tokenizer(chat).save_pretrained(folder)
    return folder
