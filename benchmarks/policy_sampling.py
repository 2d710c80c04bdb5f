"""How fast a prompt is sampled many times, against the library's own `generate`, as ratios taken in one run.

    python benchmarks/policy_sampling.py --model qwen2.5-coder-0.5b --rows 32 --new-tokens 64 [--json]

Both sides use the same weights in memory, the same prompt, the same number of threads, and draw exactly the same number
of tokens (end marks are ignored). One round runs ours, theirs, theirs, ours; the first and the last give the A/A
control: what this machine calls a difference between two runs of the same thing. Ours also reports the log-probability
of every token, which is then held against one plain full forward pass over the same tokens.
"""

import argparse
import json
import statistics
import sys
import time
from typing import Any

import torch
from transformers import PreTrainedModel

from assay.policies.generation import ATTENTION_NAME, DrawSettings, Row, generate, install_shared_prefix, prefill
from assay.policies.text import Detokenizer
from assay.policies.weights import LoadedModel, load_weights

MODULE = '''class Model(nn.Module):
    """Multiplies two matrices and keeps the lower triangle."""

    def __init__(self, size: int, scale: float = 1.0):
        super().__init__()
        self.size = size
        self.scale = scale

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        product = torch.matmul(a, b) * self.scale
        return torch.tril(product)


'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--new-tokens", type=int, default=64)
    parser.add_argument("--prompt-tokens", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    loaded = load_weights(options.model, options.device)
    prompt = _prompt(loaded, options.prompt_tokens)
    with torch.inference_mode():
        result = _measure(loaded, prompt, options)
    print(json.dumps(result, indent=2) if options.json else _table(result))


def _prompt(loaded: LoadedModel, length: int) -> tuple[int, ...]:
    ids = loaded.tokenizer.encode(MODULE * (length // 50 + 1))
    return tuple(ids[:length])


def _measure(loaded: LoadedModel, prompt: tuple[int, ...], options: argparse.Namespace) -> dict[str, Any]:
    model, rows, steps = loaded.model, options.rows, options.new_tokens
    if not install_shared_prefix(model):
        print(f"{loaded.name}: the prompt is repeated for every row in this model family", file=sys.stderr)
    _ours(loaded, prompt, 2, 2, seed=0)  # warm-up
    _theirs(model, prompt, 2, 2, seed=0)
    first, theirs, last = [], [], []
    drawn: list[Row] = []
    for turn in range(options.rounds):
        seconds, drawn = _ours(loaded, prompt, rows, steps, seed=turn)
        first.append(seconds)
        theirs.append(_theirs(model, prompt, rows, steps, seed=turn))
        theirs.append(_theirs(model, prompt, rows, steps, seed=turn))
        last.append(_ours(loaded, prompt, rows, steps, seed=turn)[0])
        print(f"round {turn}: ours {first[-1]:.1f} {last[-1]:.1f} s, theirs {theirs[-2:]} s", file=sys.stderr)
    difference, floor = _logprob_difference(model, prompt, drawn)
    tokens = rows * steps
    ours = first + last
    return {
        "model": loaded.name,
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "prompt_tokens": len(prompt),
        "rows": rows,
        "new_tokens": steps,
        "ours_tokens_per_s": tokens / statistics.median(ours),
        "theirs_tokens_per_s": tokens / statistics.median(theirs),
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "aa_ratio_ours": statistics.median(first) / statistics.median(last),
        "aa_ratio_theirs": statistics.median(theirs[::2]) / statistics.median(theirs[1::2]),
        "max_abs_logprob_difference": difference,
        "max_abs_logprob_difference_of_plain_batch_sizes": floor,
        "seconds": {"ours_first": first, "theirs": theirs, "ours_last": last},
    }


def _ours(loaded: LoadedModel, prompt: tuple[int, ...], rows: int, steps: int, seed: int) -> tuple[float, list[Row]]:
    if loaded.model.config._attn_implementation == "sdpa":
        install_shared_prefix(loaded.model)
    settings = DrawSettings(temperature=0.8, top_p=1.0, max_tokens=steps, end_tokens=frozenset(), stop=())
    uniforms = torch.rand(rows, steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = [Row(Detokenizer(loaded.tokenizer, prompt, ())) for _ in range(rows)]
    started = time.perf_counter()
    start = prefill(loaded.model, prompt)
    generate(loaded.model, start, drawn, uniforms.to(loaded.model.device), settings, lambda: None)
    return time.perf_counter() - started, drawn


def _theirs(model: PreTrainedModel, prompt: tuple[int, ...], rows: int, steps: int, seed: int) -> float:
    if model.config._attn_implementation == ATTENTION_NAME:
        model.set_attn_implementation("sdpa")
    torch.manual_seed(seed)
    ids = torch.tensor([prompt], device=model.device)
    generate_any: Any = model.generate
    started = time.perf_counter()
    output = generate_any(
        ids,
        attention_mask=torch.ones_like(ids),
        num_return_sequences=rows,
        do_sample=True,
        temperature=0.8,
        top_k=0,
        min_new_tokens=steps,
        max_new_tokens=steps,
    )
    assert output.shape == (rows, len(prompt) + steps)
    return time.perf_counter() - started


def _logprob_difference(model: PreTrainedModel, prompt: tuple[int, ...], drawn: list[Row]) -> tuple[float, float]:
    """Largest difference of ours to a plain forward pass; and of that pass to itself with another batch size."""
    if model.config._attn_implementation == ATTENTION_NAME:
        model.set_attn_implementation("sdpa")
    checked = drawn[:4]
    together = _plain_logprobs(model, prompt, [row.tokens for row in checked])
    alone = torch.cat([_plain_logprobs(model, prompt, [row.tokens]) for row in checked])
    ours = torch.tensor([row.logprobs for row in checked])
    return (ours - alone).abs().max().item(), (together - alone).abs().max().item()


def _plain_logprobs(model: PreTrainedModel, prompt: tuple[int, ...], completions: list[list[int]]) -> torch.Tensor:
    ids = torch.tensor([[*prompt, *tokens] for tokens in completions], device=model.device)
    length = len(completions[0])
    logits = model(input_ids=ids, logits_to_keep=length + 1).logits[:, :-1].float()
    return torch.log_softmax(logits, dim=-1).gather(-1, ids[:, -length:, None])[..., 0].cpu()


def _table(result: dict[str, Any]) -> str:
    shown = {key: value for key, value in result.items() if key != "seconds"}
    width = max(map(len, shown))
    return "\n".join(
        f"{key:<{width}}  {value:.4g}" if isinstance(value, float) else f"{key:<{width}}  {value}"
        for key, value in shown.items()
    )


if __name__ == "__main__":
    main()
