"""Makes a small model with random weights that a Tinker-compatible server can load: `python make_model.py FOLDER`.

`--tokenizer FOLDER` takes a real tokenizer instead of one that is trained on a few lines of code.
"""

import argparse
import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
from tiny_models import tiny_tokenizer  # pyright: ignore[reportMissingImports]


def make(folder: Path, tokenizer_folder: Path | None = None) -> Path:
    """Saves a Qwen3 of two layers in float32, and its tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder) if tokenizer_folder else tiny_tokenizer()
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        initializer_range=0.25,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path)
    given = parser.parse_args()
    make(given.folder, given.tokenizer)
