"""How long the page of a large run takes to write and to open, and how large it is.

    python benchmarks/report_page.py [--samples 10000] [--tasks 50] [--tokens 200] [--repeats 3]

The run is synthetic and goes through the store as a real one does: half of the samples are correct, a fifth of these
has the verdict `faster`, one in ten gave no program, and each program is about as long as those of the starter tasks.
Opening is measured in Chromium, from the navigation to the moment at which the report can be read (the document is
there and laid out) and to that at which its last chart is drawn. The limits are those of the project: 10,000 samples
stay under 10 MB and open in under 3 s; each figure is given as a share of its limit. Without a browser, or without
playwright, only the first two figures are taken.
"""

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from assay.core.ledger import Spend
from assay.core.records import (
    Candidate,
    Completion,
    Evaluation,
    ParseFailure,
    Prompt,
    Provenance,
    Sample,
    SamplingParams,
    Speedup,
    Status,
    StopReason,
    Task,
    Verdict,
)
from assay.report.page import write_page
from assay.report.page_model import read_report
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore

LIMITS = {"bytes": 10e6, "readable_s": 3.0, "drawn_s": 3.0}
LINES = (
    "x = torch.relu(x) + self.bias",
    "y = torch.matmul(x, self.weight.t())",
    "y = y - y.mean(dim=-1, keepdim=True)",
    "scale = torch.rsqrt(y.pow(2).mean(dim=-1, keepdim=True) + 1e-6)",
    "return torch.where(y > 0, y * scale, torch.zeros_like(y))",
    "out = torch.einsum('bij,bjk->bik', a, b).contiguous()",
)
ERROR = "RuntimeError: The size of tensor a (64) must match the size of tensor b (32)\n" + 4 * (
    '  File "/usr/lib/python3/site-packages/torch/nn/modules/module.py", line 1778, in _wrapped_call_impl\n'
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints each figure, and its share of the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--browser", type=Path, default=Path("/usr/bin/chromium"))
    parser.add_argument("--repeats", type=int, default=3, help="opens so many times, and reports the quickest")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="write run and page into this directory, and leave them there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        fill(place / "run", options.samples, options.tasks, options.tokens, random.Random(options.seed))
        page = place / "report.html"
        began = time.perf_counter()
        write_page(read_report([place / "run"]), page)
        found: dict[str, float] = {"write_s": round(time.perf_counter() - began, 2), "bytes": page.stat().st_size}
        if options.browser.exists() and find_spec("playwright"):
            times = [opened(page, options.browser) for _ in range(options.repeats)]
            found |= {name: min(one[name] for one in times) for name in times[0]}
    document = {
        "samples": options.samples,
        "tokens_a_sample": options.tokens,
        "machine": platform.platform(),
        **found,
        "share_of_limit": {name: round(found[name] / limit, 3) for name, limit in LIMITS.items() if name in found},
    }
    if options.json:
        print(json.dumps(document, indent=2))
        return
    print(f"{options.samples} samples of {options.tokens} tokens on {platform.platform()}")
    for name, value in found.items():
        share = f"  {value / LIMITS[name]:.0%} of the limit" if name in LIMITS else ""
        print(f"  {name:12} {value:12,.2f}{share}")


def opened(page: Path, browser: Path) -> dict[str, float]:
    """Seconds from the navigation until the report can be read, and until its last chart is drawn."""
    from playwright.sync_api import sync_playwright

    flags = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(browser), args=list(flags))
        tab = chromium.new_page()
        began = time.perf_counter()
        tab.goto(page.resolve().as_uri(), wait_until="domcontentloaded")
        tab.locator("h1").first.wait_for()
        readable = time.perf_counter() - began
        tab.locator("html[data-charts=drawn]").wait_for(state="attached", timeout=120_000)
        drawn = time.perf_counter() - began
        chromium.close()
    return {"readable_s": round(readable, 2), "drawn_s": round(drawn, 2)}


def fill(directory: Path, samples: int, tasks: int, tokens: int, rng: random.Random) -> None:
    """A synthetic run of `samples` samples over `tasks` tasks."""
    records = [
        Task(suite="synthetic", id=f"task_{p}", name=f"task {p}", source=program("Model", rng)) for p in range(tasks)
    ]
    config = {
        "model": "synthetic",
        "strategy": {"type": "best-of-n", "k": samples // tasks},
        "device": "cpu",
        "seed": 0,
    }
    with RunStore.create(directory, config, records) as store:
        for task in records:
            prompt = Prompt(task_key=task.key, format="module", kind="completion", text=f"Improve {task.source}")
            drawn = [draw(task, prompt, index, tokens, rng) for index in range(samples // tasks)]
            store.add_samples(prompt, drawn, Spend(rollouts=len(drawn), completion_tokens=tokens * len(drawn)))
            for candidate in store.unevaluated(0, task.key):
                store.add_evaluation(judged(task, candidate.hash, rng), Purpose.SEARCH, Spend(evaluations=1))
            copy = judged(task, "c" * 16, rng, Status.CORRECT, Verdict.SAME)
            store.add_evaluation(copy, Purpose.CONTROL, Spend(evaluations=1))
        store.finish_round(0, "base", "2026-01-01T00:00:00")
        store.complete("2026-01-01T00:00:00")


def program(name: str, rng: random.Random) -> str:
    body = "\n".join(f"        {rng.choice(LINES)}  # {rng.randrange(10**6)}" for _ in range(8))
    return f"import torch\nimport torch.nn as nn\n\n\nclass {name}(nn.Module):\n    def forward(self, x):\n{body}\n"


def draw(task: Task, prompt: Prompt, index: int, tokens: int, rng: random.Random) -> Drawn:
    source = program("ModelNew", rng)
    sample = Sample(
        id=f"0:{task.key}:{index}",
        task_key=task.key,
        round=0,
        index=index,
        snapshot_id="base",
        prompt_hash=prompt.hash,
        prompt_tokens=100,
        params=SamplingParams(),
        completion=Completion(
            tokens=tuple(rng.randrange(50_000) for _ in range(tokens)),
            logprobs=tuple(-rng.expovariate(2.0) for _ in range(tokens)),
            text=source.partition("forward")[2],
            stop_reason=StopReason.STOP,
        ),
    )
    return Drawn(sample, ParseFailure(reason="no class ModelNew") if index % 10 == 0 else Candidate(source=source))


def judged(
    task: Task, candidate: str, rng: random.Random, status: Status | None = None, verdict: Verdict | None = None
) -> Evaluation:
    status = status or rng.choice((Status.CORRECT, Status.CORRECT, Status.WRONG_OUTPUT, Status.RUNTIME_ERROR))
    speed = None
    facts: dict[str, object] = {"load_average": 1.0}
    if status is Status.CORRECT:
        ratio = rng.lognormvariate(0.0, 0.3)
        limits = {"low": ratio * 0.97, "high": ratio * 1.03, "raw": ratio * rng.lognormvariate(0.0, 0.05)}
        speed = Speedup(ratio=ratio, margin=0.02, pairs=20, replicates=2, minimal_effect=0.03, **limits)
        facts["pairs_us"] = [[pair(ratio, rng) for _ in range(10)] for _ in range(2)]
        facts["witness"] = {"pairs": 40, "seen_share": 1 - 1 / ratio, "error": 0.004}
        verdict = verdict or rng.choice((Verdict.FASTER, *4 * (Verdict.UNDECIDED,)))
    return Evaluation(
        task_key=task.key,
        candidate_hash=candidate,
        status=status,
        verdict=verdict,
        speedup=speed,
        error=ERROR if status is Status.RUNTIME_ERROR else "",
        candidate_ms=None if speed is None else 1.0,
        reference_ms=None if speed is None else speed.ratio,
        timed_calls=20 if speed else 0,
        seconds=0.5,
        provenance=Provenance(device="cpu", sandbox=("limits", "seccomp"), facts=facts),
    )


def pair(ratio: float, rng: random.Random) -> list[float]:
    """Microseconds of reference and candidate."""
    return [round(1000 * ratio * rng.lognormvariate(0.0, 0.02), 2), round(1000 * rng.lognormvariate(0.0, 0.02), 2)]


if __name__ == "__main__":
    main()
