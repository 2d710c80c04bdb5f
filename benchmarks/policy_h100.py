"""The local policy on a GPU: are its numbers right, how fast does it sample and learn, and what does that need.

    python benchmarks/policy_h100.py --random qwen2.5-0.5b --tokenizer FOLDER --out results.json

`--model local:FOLDER` takes real weights. `--random` makes a model of that shape with random weights, for machines that
cannot download: the speed of a step does not depend on the values. Both sides of every ratio use the same weights and
shapes in one process; ours runs first and last, which is the A/A control. Per-sample `generate` is timed for a few
samples and multiplied, since each costs the same; everything else is timed in full.

Sections: check (log-probabilities held against plain forward passes, snapshots, gradients), sampling (against
`generate`, and against the time that a copy of as many bytes as the weights takes), static (against `generate` with its
static cache and compiled steps), update (a LoRA update, packed, against item by item and batches of items), profile
(kernels of a step), pytest (the GPU tests, where pytest is installed).
"""

import argparse
import asyncio
import copy
import gc
import importlib.util
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from assay.core.protocols import AdamConfig, LoraConfig, TrainItem
from assay.core.records import Prompt, SamplingParams
from assay.policies import pack_budget
from assay.policies.captured_decode import CapturedDecoder
from assay.policies.generation import DrawSettings, Row, score_tokens
from assay.policies.local import LocalPolicy
from assay.policies.sampler import LocalSampler
from assay.policies.text import Detokenizer, prompt_tokens
from assay.policies.weights import LoadedModel, load_weights

QWEN = {"model_type": "qwen2", "vocab_size": 151936, "eos_token_id": 151645, "tie_word_embeddings": True}
SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "model_type": "llama",
        "vocab_size": 49152,
        "eos_token_id": 0,
        "tie_word_embeddings": True,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
    },
    "qwen2.5-0.5b": {
        **QWEN,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
    "qwen2.5-1.5b": {
        **QWEN,
        "hidden_size": 1536,
        "intermediate_size": 8960,
        "num_hidden_layers": 28,
        "num_attention_heads": 12,
        "num_key_value_heads": 2,
    },
    "tiny": {
        **QWEN,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
SOURCE = '''class Model(nn.Module):
    """Multiplies two matrices and keeps the lower triangle."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.tril(torch.matmul(a, b) * self.scale)


'''
LORA = LoraConfig(rank=16, alpha=32)
SAMPLING = {"do_sample": True, "temperature": 0.8, "top_k": 0, "top_p": 1.0}


def shape_config(name: str, **changes: Any) -> Any:
    """The configuration of one of SHAPES."""
    shape: dict[str, Any] = {**SHAPES[name], **changes}
    return AutoConfig.for_model(
        **shape,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=None,
    )


class Bench:
    """The options, the two models (ours behind a policy, theirs as loaded), and the prompt."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device(options.device)
        self.loaded = self.load()
        self.policy = self.policy_of(self.loaded)
        self.loaded = self.policy._loaded
        self.base = self.policy.base()
        self.plain: PreTrainedModel = self.load().model
        self.tokenizer = self.loaded.tokenizer
        self.tokens = tuple(self.tokenizer.encode(SOURCE * 20)[: options.prompt_tokens])
        self.text = self.tokenizer.decode(self.tokens)

    def load(self) -> LoadedModel:
        """Weights and tokenizer anew; the same numbers each time."""
        if self.options.random is None:
            return load_weights(self.options.model, str(self.device))
        config = shape_config(self.options.random)
        dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32
        torch.manual_seed(0)
        with self.device:
            model: Any = AutoModelForCausalLM.from_config(config)
        model.to(dtype)
        model.lm_head.weight.data *= 5  # peaked enough for differences of log-probabilities to show
        model.eval().requires_grad_(False)
        tokenizer = AutoTokenizer.from_pretrained(self.options.tokenizer)
        return LoadedModel(f"random {self.options.random}", "random", model, tokenizer, "completion")

    def policy_of(self, loaded: LoadedModel) -> LocalPolicy:
        """A policy that decodes the way a GPU does."""
        if self.device.type == "cpu":  # the same loop without capture, to try this script
            loaded = LoadedModel(
                loaded.name,
                loaded.identity,
                loaded.model,
                loaded.tokenizer,
                "completion",
                CapturedDecoder(loaded.model, capture=False),
            )
        return LocalPolicy(loaded)

    def seconds(self, work: Callable[[], Any]) -> float:
        """How long `work` takes, with everything that it queued."""
        self.wait()
        started = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - started

    def wait(self) -> None:
        """Until the device has done all."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def ours(
        self,
        rows: int,
        steps: int,
        seed: int = 0,
        ends: frozenset[int] = frozenset(),
        snapshot: LocalSampler | None = None,
        **rule: float,
    ) -> list[Row]:
        """One draw of exactly `steps` tokens a row, prompt included, unless `ends` end it; by the base model if there
        is no `snapshot`.
        """
        decoder = self.loaded.decoder
        assert decoder is not None
        settings = DrawSettings(rule.get("temperature", 0.8), rule.get("top_p", 1.0), steps, ends, ())
        uniforms = torch.rand(rows, steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        drawn = [Row(Detokenizer(self.tokenizer, self.tokens, ())) for _ in range(rows)]
        with (snapshot or self.base)._sides[0]._activate(), torch.inference_mode():
            decoder.generate(decoder.prefill(self.tokens), drawn, uniforms.to(self.device), settings, lambda: None)
        return drawn

    def theirs(self, rows: int, steps: int, **options: Any) -> None:
        """The library's own `generate`, one call."""
        ids = torch.tensor([self.tokens], device=self.device)
        generate: Any = self.plain.generate
        with torch.inference_mode():
            out = generate(
                ids,
                attention_mask=torch.ones_like(ids),
                num_return_sequences=rows,
                min_new_tokens=steps,
                max_new_tokens=steps,
                **SAMPLING,
                **options,
            )
        assert out.shape == (rows, len(self.tokens) + steps)

    def plain_logprobs(self, model: Any, tokens: list[int]) -> torch.Tensor:
        """Raw log-probabilities by one full forward pass."""
        ids = torch.tensor([[*self.tokens, *tokens]], device=self.device)
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(tokens) + 1).logits[0, :-1].float()
        return torch.log_softmax(logits, dim=-1).gather(-1, ids[0, -len(tokens) :, None])[:, 0].cpu()

    def prompt(self, stop: tuple[str, ...] = ()) -> Prompt:
        """The prompt as a policy takes it."""
        return Prompt(task_key="bench/1", format="body", kind="completion", text=self.text, stop=stop)


# -- check ------------------------------------------------------------------------------------------------------


def check(bench: Bench) -> dict[str, Any]:
    """Each difference stands beside what bfloat16 costs the library's own forward passes."""
    steps = bench.options.check_tokens
    exact: Any = copy.deepcopy(bench.plain).float()
    found: dict[str, Any] = {"log-probabilities": {}}
    for name, rule in {
        "t 0.8": {},
        "t 0": {"temperature": 0.0},
        "top_p 0.9": {"top_p": 0.9},
    }.items():
        rows = bench.ours(16, steps, **rule)
        found["log-probabilities"][name] = _differences(bench, exact, rows)
    first, again = bench.ours(16, steps), bench.ours(16, steps)
    found["a draw repeats"] = [row.tokens for row in first] == [row.tokens for row in again]
    found["rows equal to those of a draw of 5"] = sum(
        one.tokens == other.tokens for one, other in zip(bench.ours(5, steps), first, strict=False)
    )
    uncaptured = CapturedDecoder(bench.loaded.model, capture=False)
    captured, bench.loaded = bench.loaded, LoadedModel(**{**vars(bench.loaded), "decoder": uncaptured})
    found["captured equals launched one by one"] = [r.tokens for r in bench.ours(16, steps)] == [
        r.tokens for r in first
    ]
    bench.loaded = captured
    # A thirtieth of the drawn tokens as end marks, so that rows finish all along.
    common = sorted({token for row in first for token in row.tokens})
    shrunk = bench.ours(64, steps, ends=frozenset(common[::30]))
    found["rows finish at"] = " ".join(map(str, sorted(len(row.tokens) for row in shrunk)))
    found["log-probabilities"]["while rows finish"] = _differences(bench, exact, shrunk)
    found["snapshots"] = asyncio.run(_snapshots(bench))
    found["gradient"] = asyncio.run(_gradients(bench))
    return found


def _differences(bench: Bench, exact: Any, rows: list[Row]) -> dict[str, float]:
    """Ours and plain passes of the model as it is, both against plain passes of the same weights in float32."""
    ours, plain = [], []
    for row in rows[:6]:
        true = bench.plain_logprobs(exact, row.tokens)
        ours += (torch.tensor(row.logprobs) - true).abs().tolist()
        plain += (bench.plain_logprobs(bench.plain, row.tokens) - true).abs().tolist()
    return {
        "ours_mean": statistics.mean(ours),
        "ours_max": max(ours),
        "plain_mean": statistics.mean(plain),
        "plain_max": max(plain),
    }


async def _snapshots(bench: Bench) -> dict[str, Any]:
    """An adapter that was trained changes what is drawn, agrees with its own scores, and leaves the base alone."""
    policy, params = bench.policy, SamplingParams(max_tokens=bench.options.check_tokens, seed=5)
    base = policy.base()
    before = await base.sample(bench.prompt(), 8, params)
    trainer = await policy.trainer(LORA)
    items = [_item(bench, c.tokens, c.logprobs, 1.0) for c in before.completions]
    reports = [await trainer.step(items, "importance_sampling", AdamConfig(learning_rate=1e-5)) for _ in range(3)]
    snapshot = await trainer.snapshot("trained")
    drawn = await snapshot.sample(bench.prompt(), 8, params)
    gaps = []
    for completion in drawn.completions[:4]:
        scored = await snapshot.score(bench.prompt(), completion.tokens)
        gaps += [abs(a - b) for a, b in zip(scored.logprobs, completion.logprobs, strict=True)]
    seconds = []
    for sampler in (base, snapshot, base, snapshot):
        started = time.perf_counter()
        with sampler._sides[0]._activate(), torch.inference_mode():
            assert bench.loaded.decoder is not None
            bench.loaded.decoder._fused.load_adapter()
            bench.wait()
        seconds.append(time.perf_counter() - started)
    after = await base.sample(bench.prompt(), 8, params)
    moved = [
        statistics.mean((await snapshot.score(bench.prompt(), c.tokens)).logprobs) - statistics.mean(c.logprobs)
        for c in before.completions[:4]
    ]
    return {
        "sampler against its scorer": {"mean": statistics.mean(gaps), "max": max(gaps)},
        "mean log-probability of the rewarded rose by": statistics.mean(moved),
        "base draws the same before and after": before == after,
        "the snapshot draws something else": drawn != before,
        "switch_ms": [1000 * s for s in seconds],
        "steps": [vars(report) for report in reports],
    }


async def _gradients(bench: Bench) -> dict[str, float]:
    trainer = await bench.policy.trainer(LORA)
    items = _items(bench, 6, 48)
    await trainer.step(items, "cross_entropy", AdamConfig(learning_rate=1e-3))  # B is zero before
    packed = _flat(await trainer.gradient(items, "importance_sampling"))
    trainer._passes[0].budget.tokens = trainer._passes[0].budget._most = 1
    alone = _flat(await trainer.gradient(items, "importance_sampling"))
    return {
        "cosine of packed and one by one": torch.cosine_similarity(packed, alone, dim=0).item(),
        "relative difference": ((packed - alone).norm() / alone.norm()).item(),
    }


def _flat(gradient: dict[str, torch.Tensor]) -> torch.Tensor:
    return torch.cat([gradient[key].flatten().float() for key in sorted(gradient)])


def _item(bench: Bench, tokens: tuple[int, ...], logprobs: tuple[float, ...], advantage: float) -> TrainItem:
    n = len(tokens)
    return TrainItem(bench.prompt(), tokens, logprobs, (advantage,) * n, (1.0,) * n)


def _items(bench: Bench, count: int, length: int) -> list[TrainItem]:
    rows = bench.ours(count, length, seed=9)
    return [
        _item(bench, tuple(row.tokens), tuple(row.logprobs), (-1.0) ** place * (1 + place % 3))
        for place, row in enumerate(rows)
    ]


# -- sampling ---------------------------------------------------------------------------------------------------


def sampling(bench: Bench) -> dict[str, Any]:
    """Ours, then theirs, then ours again, for each number of rows and of new tokens."""
    bench.theirs(2, 4)
    found: dict[str, Any] = {"weights_ms": 1000 * _seconds_to_read_weights(bench)}
    snapshot = asyncio.run(_trained(bench))
    for steps in map(int, bench.options.new_tokens.split(",")):
        calls = [bench.seconds(lambda steps=steps: bench.theirs(1, steps)) for _ in range(bench.options.single_calls)]
        for rows in map(int, bench.options.rows.split(",")):
            name = f"{rows} rows of {steps}"
            found[name] = _sampled(bench, rows, steps, calls, found["weights_ms"], snapshot)
            print(name, json.dumps(found[name]), file=sys.stderr, flush=True)  # in case that time runs out
    return found | {"scoring 128 tokens, ms": _scored(bench)}


async def _trained(bench: Bench) -> LocalSampler:
    """An adapter whose factors are not zero."""
    trainer = await bench.policy.trainer(LORA)
    await trainer.step(_items(bench, 2, 16), "cross_entropy", AdamConfig(learning_rate=1e-3))
    return await trainer.snapshot("trained")


def _scored(bench: Bench) -> dict[str, float]:
    """One completion by the fused layers, and by the model's own from the computed prompt on."""
    decoder: Any = bench.loaded.decoder
    completion = tuple(bench.ours(1, 128)[0].tokens)
    with bench.base._sides[0]._activate(), torch.inference_mode():
        start = decoder.prefill(bench.tokens)
        ways: dict[str, Callable[[], Any]] = {
            "ours": lambda: decoder.score(bench.tokens, completion, 0),
            "plain": lambda: score_tokens(bench.plain, start, completion, 0, lambda: None),
        }
        return {name: 1000 * statistics.median(bench.seconds(way) for _ in range(7)) for name, way in ways.items()}


def _sampled(
    bench: Bench, rows: int, steps: int, calls: list[float], weights_ms: float, snapshot: LocalSampler
) -> dict[str, Any]:
    """One comparison; `calls`: seconds of `generate` for a single sample. All by the base model, but for what is said
    to be with an adapter.
    """
    cold = bench.seconds(lambda: bench.ours(rows, steps))
    bench.theirs(rows, 8)
    first = [_peak(bench, lambda: bench.ours(rows, steps)) for _ in range(3)]
    batched = [_peak(bench, lambda: bench.theirs(rows, steps)) for _ in range(3)]
    last = [_peak(bench, lambda: bench.ours(rows, steps)) for _ in range(3)]
    bench.ours(rows, steps, snapshot=snapshot)
    adapted = statistics.median(bench.seconds(lambda: bench.ours(rows, steps, snapshot=snapshot)) for _ in range(3))
    decoder: Any = bench.loaded.decoder
    with bench.base._sides[0]._activate(), torch.inference_mode():
        prompt_s = statistics.median(bench.seconds(lambda: decoder.prefill(bench.tokens)) for _ in range(5))
    seconds = [[one for one, _ in runs] for runs in (first, batched, last)]
    ours, theirs = statistics.median(seconds[0] + seconds[2]), statistics.median(seconds[1])
    step_ms = 1000 * (ours - prompt_s) / (steps - 1)
    return {
        "ours_s": ours,
        "ours_first_draw_with_captures_s": cold,
        "ours_with_an_adapter_s": adapted,
        "ours_step_ms": step_ms,
        "batched_generate_step_ms": 1000 * theirs / steps,
        "prompt_ms": 1000 * prompt_s,
        "share_of_bandwidth_limit": weights_ms / step_ms,
        "ours_tokens_per_s": rows * steps / ours,
        "batched_generate_tokens_per_s": rows * steps / theirs,
        "ratio_to_batched_generate": theirs / ours,
        "ratio_to_faster_batched_generate": min(seconds[1]) / ours,
        "ratio_with_an_adapter_to_faster_batched_generate_without": min(seconds[1]) / adapted,
        "ratio_to_generate_of_one_sample": statistics.median(calls) * rows / ours if calls else None,
        "aa_ratio_ours": statistics.median(seconds[0]) / statistics.median(seconds[2]),
        "aa_ratio_batched": seconds[1][0] / seconds[1][-1],
        "peak_gib": {"ours": max(peak for _, peak in first), "batched": max(peak for _, peak in batched)},
        "top_p_0.9_s": [bench.seconds(lambda: bench.ours(rows, steps, top_p=0.9)) for _ in range(2)][1],
        "whole_sampler_s": _whole_sampler(bench, rows, steps),
        "runs_s": {"first": seconds[0], "batched": seconds[1], "last": seconds[2]},
    }


def _seconds_to_read_weights(bench: Bench) -> float:
    """What reading all weights once takes at the rate of a large copy on this device."""
    source = torch.empty(2**28 if bench.device.type == "cuda" else 2**24, dtype=torch.float32, device=bench.device)
    target = torch.empty_like(source)
    copies = [bench.seconds(lambda: target.copy_(source)) for _ in range(8)]
    weights = sum(p.numel() * p.element_size() for p in bench.plain.parameters())
    return min(copies) * weights / (2 * source.numel() * source.element_size())


def static(bench: Bench) -> dict[str, Any]:
    """`generate` with a static cache, which compiles its steps, for the first number of rows and of new tokens."""
    rows, steps = (int(text.split(",")[0]) for text in (bench.options.rows, bench.options.new_tokens))
    bench.ours(rows, steps)
    first = [bench.seconds(lambda: bench.ours(rows, steps)) for _ in range(3)]
    setup = [bench.seconds(lambda: bench.theirs(rows, steps, cache_implementation="static")) for _ in range(2)]
    steady = [bench.seconds(lambda: bench.theirs(rows, steps, cache_implementation="static")) for _ in range(3)]
    assert bench.loaded.decoder is not None
    bench.loaded.decoder._forget_graphs()  # compiled steps free workspaces of cuBLAS that graphs of others may use
    bench.ours(rows, steps)
    last = [bench.seconds(lambda: bench.ours(rows, steps)) for _ in range(3)]
    ours = statistics.median(first + last)
    return {
        "rows": rows,
        "new_tokens": steps,
        "first_calls_s": setup,
        "steady_s": steady,
        "steady_tokens_per_s": rows * steps / statistics.median(steady),
        "ratio": statistics.median(steady) / ours,
        "aa_ratio_ours": statistics.median(first) / statistics.median(last),
        "aa_ratio_theirs": steady[0] / steady[-1],
    }


def _whole_sampler(bench: Bench, rows: int, steps: int) -> list[float]:
    """`LocalSampler.sample` with a stop string that never comes: random numbers, detokenising and records included."""
    params = SamplingParams(max_tokens=steps)

    def draw() -> None:
        drawn = asyncio.run(bench.base.sample(bench.prompt(stop=("\nclass ZZZ",)), rows, params))
        lengths.append(sum(len(c.tokens) for c in drawn.completions))

    lengths: list[int] = []
    return [bench.seconds(draw) for _ in range(2)]


def profile(bench: Bench) -> dict[str, Any]:
    """Which kernels the time of a step goes to, and how much of it the GPU is busy."""
    rows, steps = 64, 65
    bench.ours(rows, steps)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if bench.device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as seen:
        seconds = bench.seconds(lambda: bench.ours(rows, steps))
    kernels = [
        (event.key[:110], event.count, event.self_device_time_total / 1000)
        for event in seen.key_averages()
        if event.self_device_time_total > 0 and event.self_cpu_time_total == 0
    ]
    kernels.sort(key=lambda kernel: -kernel[2])
    return {
        "steps": steps,
        "wall_ms_a_step_with_prompt": 1000 * seconds / steps,
        "busy_ms_a_step_with_prompt": sum(k[2] for k in kernels) / steps,
        "kernels_a_step_with_prompt": sum(k[1] for k in kernels) / steps,
        "kernels (name, count, total ms)": kernels[:40],
    }


# -- update -----------------------------------------------------------------------------------------------------


def update(bench: Bench) -> dict[str, Any]:
    """One LoRA update on G completions of one prompt; ours with several limits of a pack, before and after theirs."""
    rows, length = bench.options.update_rows, bench.options.update_tokens
    items = _items(bench, rows, length)
    trainer = asyncio.run(bench.policy.trainer(LORA))
    found: dict[str, Any] = {"items": rows, "tokens": rows * length, "prompt_tokens": len(bench.tokens)}
    plain_step = _plain_update(bench, items)
    plain_step(2, 1)

    def ours() -> None:
        asyncio.run(trainer.step(items, "importance_sampling", AdamConfig()))

    first: dict[int, float] = {}
    for turn in ("first", "last"):
        for limit in map(int, bench.options.pack_tokens.split(",")):
            trainer._passes[0].budget = budget = SeenBudget(bench.device)
            budget._most = limit
            try:
                ours()
                seconds = bench.seconds(ours)
            except (torch.cuda.OutOfMemoryError, RuntimeError) as error:
                found[f"pack {limit}"] = {"failed": str(error)[:200]}
                continue
            if turn == "first":
                first[limit] = seconds
            else:
                found[f"pack {limit}"] = {
                    "ours_s": seconds,
                    "aa_ratio": first[limit] / seconds,
                    "peak_gib": budget.peak / 2**30,
                    "limit_at_the_end": budget.tokens,
                }
        if turn == "first":
            for batch in map(int, bench.options.plain_batches.split(",")):
                runs = [_peak(bench, lambda batch=batch: plain_step(rows, batch)) for _ in range(2)]
                found[f"plain by {batch}"] = {
                    "s": [seconds for seconds, _ in runs],
                    "aa_ratio": runs[0][0] / runs[1][0],
                    "peak_gib": runs[1][1],
                }
    plain = {name: statistics.median(entry["s"]) for name, entry in found.items() if name.startswith("plain by")}
    for name, entry in found.items():
        if name.startswith("pack") and "ours_s" in entry:
            entry["ratios"] = {other: seconds / entry["ours_s"] for other, seconds in plain.items()}
    return found


class SeenBudget(pack_budget.PackBudget):
    """Keeps the most memory that any pack needed, in bytes."""

    peak = 0

    @contextmanager
    def measured(self, tokens: int) -> Iterator[None]:
        """As the budget's own."""
        with super().measured(tokens):
            yield
            if self._devices:
                self.peak = max(self.peak, torch.cuda.max_memory_allocated(self._devices[0]))


def _plain_update(bench: Bench, items: list[TrainItem]) -> Callable[[int, int], None]:
    """The usual loop: PEFT's adapter on the model, gradients added up over batches of items, one Adam step."""
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model: Any = peft.get_peft_model(
        bench.plain, peft.LoraConfig(r=LORA.rank, lora_alpha=LORA.alpha, target_modules=targets)
    )
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5)
    prompt = prompt_tokens(bench.tokenizer, bench.prompt())

    def step(count: int, batch: int) -> None:
        for start in range(0, count, batch):
            part = items[start : start + batch]
            ids = torch.tensor([[*prompt, *item.tokens] for item in part], device=bench.device)
            length = len(part[0].tokens)
            logits = model(input_ids=ids, use_cache=False, logits_to_keep=length + 1).logits[:, :-1].float()
            logprobs = torch.log_softmax(logits, dim=-1).gather(-1, ids[:, -length:, None])[..., 0]
            behaviour = torch.tensor([item.behaviour_logprobs for item in part], device=bench.device)
            advantages = torch.tensor([item.advantages for item in part], device=bench.device)
            (-(torch.exp(logprobs - behaviour) * advantages).sum()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _peak(bench: Bench, work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds, and the largest memory in GiB (0 on a CPU)."""
    if bench.device.type != "cuda":
        return bench.seconds(work), 0.0
    torch.cuda.reset_peak_memory_stats()
    seconds = bench.seconds(work)
    return seconds, torch.cuda.max_memory_allocated() / 2**30


# -- the rest ---------------------------------------------------------------------------------------------------


def run_pytest(bench: Bench) -> dict[str, Any]:
    """The GPU tests of the conformance suite, in a process of their own."""
    if importlib.util.find_spec("pytest") is None:
        return {"skipped": "pytest is not installed"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "gpu",
        "tests/conformance",
        "tests/policies",
        "-o",
        "addopts=",
        "-q",
        "-x",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return {"exit": done.returncode, "tail": done.stdout[-1500:]}


SECTIONS: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "check": check,
    "sampling": sampling,
    "static": static,
    "update": update,
    "profile": profile,
    "pytest": run_pytest,
}


def environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "accelerate": importlib.util.find_spec("accelerate") is not None,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor(),
    }


def main() -> None:
    """Runs the sections asked for; each is written as soon as it is done, and one that fails does not end the rest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--random", choices=sorted(SHAPES))
    parser.add_argument("--tokenizer", type=Path, help="a folder with tokenizer.json, for --random")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--sections", default=",".join(SECTIONS))
    parser.add_argument("--rows", default="64")
    parser.add_argument("--prompt-tokens", type=int, default=500)
    parser.add_argument("--new-tokens", default="64,256")
    parser.add_argument("--check-tokens", type=int, default=64)
    parser.add_argument("--single-calls", type=int, default=2)
    parser.add_argument("--update-rows", type=int, default=160)
    parser.add_argument("--update-tokens", type=int, default=64)
    parser.add_argument("--plain-batches", default="1,16", help="how many items the plain loop takes at once")
    parser.add_argument("--pack-tokens", default="1024,2048,4096,8192")
    options = parser.parse_args()
    started = time.monotonic()
    bench = Bench(options)
    results: dict[str, Any] = {"environment": environment(bench.device), "argv": sys.argv}
    for name in options.sections.split(","):
        begun = time.monotonic()
        try:
            results[name] = SECTIONS[name](bench)
        except Exception as error:  # one section must not cost the others their turn on the machine
            results[name] = {"failed": repr(error), "traceback": traceback.format_exc()[-3000:]}
        results[name]["section_s"] = time.monotonic() - begun
        results["wall_s"] = time.monotonic() - started
        options.out.write_text(json.dumps(results, indent=1))
        print(json.dumps({name: results[name]}, indent=1), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
