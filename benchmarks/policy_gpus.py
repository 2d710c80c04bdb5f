"""The local policy on several GPUs: are its numbers those of one, and how much faster does it sample and learn.

    python benchmarks/policy_gpus.py --random qwen2.5-0.5b --tokenizer FOLDER --devices cuda:0,cuda:1 --out results.json

`--model local:FOLDER` takes real weights; `--random` writes a model of that shape with random weights to a temporary
folder first. Three policies stand in one process: on the first device, with a copy on each, and spread over all. Ratios
come from turns of one, several, several, one; the outer two are the A/A control. On a CPU (`--devices cpu,cpu`) the
script can be tried; nothing is spread there. Minutes for a 0.5B on two GPUs, most of them loading.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from policy_h100 import LORA, SHAPES, SOURCE, environment, shape_config
from transformers import AutoModelForCausalLM, AutoTokenizer

from assay.core.protocols import AdamConfig, TrainItem
from assay.core.records import Completion, Prompt, SamplingParams
from assay.policies.local import LocalPolicy, load_local
from assay.policies.trainer import LocalTrainer

ADAM = AdamConfig(learning_rate=1e-4)


def main() -> None:
    """Each section is written as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--random", choices=sorted(SHAPES))
    parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json, for --random")
    parser.add_argument("--devices", default="cuda:0,cuda:1")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--new-tokens", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    devices = options.devices.split(",")
    results: dict[str, Any] = {"environment": environment(torch.device(devices[0])), "argv": sys.argv}
    with tempfile.TemporaryDirectory() as scratch:
        spec = options.model if options.random is None else _written(options, Path(scratch))
        one, several = load_local(spec, devices[0]), load_local(spec, options.devices)
        sections: dict[str, Callable[[], dict[str, Any]]] = {
            "check": lambda: check(one, several, options),
            "sampling": lambda: sampling(one, several, options),
            "update": lambda: update(one, several, options),
        }
        if "cpu" not in devices:
            sections["spread"] = lambda: spread(one, load_local(spec, "+".join(devices)), options)
        for name, section in sections.items():
            results[name] = section()
            options.out.write_text(json.dumps(results, indent=1))
            print(json.dumps({name: results[name]}, indent=1), flush=True)


def _written(options: argparse.Namespace, folder: Path) -> str:
    config = shape_config(options.random, tie_word_embeddings=False)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config)
    model.to(torch.bfloat16)
    model.lm_head.weight.data *= 5  # peaked enough for differences of log-probabilities to show
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(options.tokenizer).save_pretrained(folder)
    return f"local:{folder}"


def check(one: LocalPolicy, several: LocalPolicy, options: argparse.Namespace) -> dict[str, Any]:
    """Draws, gradients and weights of several copies beside those of one; bfloat16 rounds, so draws may part."""
    first, other = (_draw(policy, options, seed=5) for policy in (one, several))
    trainers = [asyncio.run(policy.trainer(LORA)) for policy in (one, several)]
    items = _items(first)
    steps = [[vars(asyncio.run(t.step(items, "importance_sampling", ADAM))) for _ in range(3)] for t in trainers]
    return {
        "same id": one.base().id == several.base().id,
        "rows that are the same": sum(a.tokens == b.tokens for a, b in zip(first, other, strict=True)),
        "rows": options.rows,
        "scores of what several drew, against their own": _gap(several, other),
        "steps on one": steps[0],
        "steps on several": steps[1],
        "adapters equal bit for bit": _are_equal(trainers[1]),
    }


def sampling(one: LocalPolicy, several: LocalPolicy, options: argparse.Namespace) -> dict[str, Any]:
    """Tokens a second; the work is the same for both."""

    def seconds(policy: LocalPolicy, turn: int) -> float:
        return _seconds(lambda: _draw(policy, options, seed=turn))

    for policy in (one, several):
        seconds(policy, 0)  # captures
    return _turns(one, several, seconds, options.rounds)


def update(one: LocalPolicy, several: LocalPolicy, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step on all rows."""
    items = _items(_draw(one, options, seed=0))
    trainers = {policy: asyncio.run(policy.trainer(LORA)) for policy in (one, several)}

    def seconds(policy: LocalPolicy, turn: int) -> float:
        return _seconds(lambda: asyncio.run(trainers[policy].step(items, "importance_sampling", ADAM)))

    for policy in (one, several):
        for turn in range(3):  # packs grow with what was measured
            seconds(policy, turn)
    return _turns(one, several, seconds, options.rounds)


def spread(one: LocalPolicy, policy: LocalPolicy, options: argparse.Namespace) -> dict[str, Any]:
    """One copy over all devices: plain decoding, and a step."""
    draw: list[Completion] = []
    seconds = _seconds(lambda: draw.extend(_draw(policy, options, seed=5)))
    items = _items(draw)
    steps = []
    for each in (one, policy):
        trainer = asyncio.run(each.trainer(LORA))
        steps.append([vars(asyncio.run(trainer.step(items, "importance_sampling", ADAM))) for _ in range(3)])
    return {
        "device": policy.device,
        "tokens_per_s": sum(len(c.tokens) for c in draw) / seconds,
        "scores of what it drew, against its own": _gap(policy, draw),
        "steps on one device": steps[0],
        "steps over all": steps[1],
        "gib_in_use": {d: torch.cuda.memory_allocated(d) / 2**30 for d in options.devices.split(",")},
    }


def _turns(
    one: LocalPolicy, several: LocalPolicy, seconds: Callable[[LocalPolicy, int], float], rounds: int
) -> dict[str, Any]:
    found: dict[str, list[float]] = {"one_first": [], "several": [], "one_last": []}
    for turn in range(rounds):
        found["one_first"].append(seconds(one, turn))
        found["several"] += [seconds(several, turn), seconds(several, turn)]
        found["one_last"].append(seconds(one, turn))
    total = {name: sum(values) for name, values in found.items()}
    return {
        "ratio": (total["one_first"] + total["one_last"]) / total["several"],
        "aa_ratio": total["one_first"] / total["one_last"],
        "seconds": found,
    }


def _draw(policy: LocalPolicy, options: argparse.Namespace, seed: int) -> list[Completion]:
    params = SamplingParams(temperature=0.8, max_tokens=options.new_tokens, seed=seed)
    return list(asyncio.run(policy.base().sample(_prompt(), options.rows, params)).completions)


def _prompt() -> Prompt:
    return Prompt(task_key="bench/1", format="body", kind="completion", text=SOURCE * 8)


def _items(draw: list[Completion]) -> list[TrainItem]:
    """Advantages of both signs."""
    signs = [1.0 if number % 2 else -1.0 for number in range(len(draw))]
    return [
        TrainItem(_prompt(), c.tokens, c.logprobs, (sign,) * len(c.tokens), (1.0,) * len(c.tokens))
        for c, sign in zip(draw, signs, strict=True)
    ]


def _gap(policy: LocalPolicy, draw: list[Completion]) -> float:
    """The largest difference of a sampled log-probability to its score, over eight rows."""
    gaps = []
    for c in draw[:8]:
        scored = asyncio.run(policy.base().score(_prompt(), c.tokens))
        gaps += [abs(a - b) for a, b in zip(scored.logprobs, c.logprobs, strict=True)]
    return max(gaps)


def _are_equal(trainer: LocalTrainer) -> bool:
    first, *others = (passes.parameters for passes in trainer._passes)
    return all(torch.equal(first[key].cpu(), other[key].cpu()) for other in others for key in first)


def _seconds(work: Callable[[], Any]) -> float:
    _wait()
    started = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    for index in range(torch.cuda.device_count()):
        torch.cuda.synchronize(index)


if __name__ == "__main__":
    main()
