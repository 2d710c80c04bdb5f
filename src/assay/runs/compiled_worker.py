"""One process of `compiled.py`: reads a request from stdin, and writes the median log ratio of its pairs to stdout."""

import json
import math
import random
import statistics
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._pytree import tree_map

WARM_UP = 3


def main() -> None:
    """Answers with `log_ratio`, or with the `problem` that compiling met."""
    request = json.load(sys.stdin)
    out, sys.stdout = sys.stdout, sys.stderr  # what the user's module prints must not be the answer
    try:
        reply = {"log_ratio": median_log_ratio(request)}
    except Exception as error:  # whatever the compiler or the module raises is the answer
        said = str(error).strip().splitlines()
        reply = {"problem": f"{type(error).__name__}: {said[0] if said else ''}"[:300]}
    out.write(f"{json.dumps(reply)}\n")


def median_log_ratio(request: dict[str, Any]) -> float:
    """Median over pairs of log(eager seconds / compiled seconds)."""
    torch.set_num_threads(request["threads"])
    torch.manual_seed(request["seed"])
    device = torch.device(request["device"])
    module = types.ModuleType("assay_compiled_reference")
    exec(compile(request["source"], "<reference>", "exec"), module.__dict__)
    eager = module.Model(*module.get_init_inputs()).to(device)
    compiled = torch.compile(eager)
    inputs = tree_map(lambda one: one.to(device) if isinstance(one, torch.Tensor) else one, list(module.get_inputs()))
    order = random.Random(request["seed"])
    logs = []
    with torch.no_grad():
        for program in (eager, compiled):
            for _ in range(WARM_UP):
                _seconds(program, inputs, device)
        for _ in range(request["pairs"]):
            first, second = (eager, compiled) if order.random() < 0.5 else (compiled, eager)
            taken = {first: _seconds(first, inputs, device), second: _seconds(second, inputs, device)}
            logs.append(math.log(taken[eager] / taken[compiled]))
    return statistics.median(logs)


def _seconds(program: Callable[..., Any], inputs: list[Any], device: torch.device) -> float:
    """One call on fresh copies, so that a model which changes its inputs meets the same ones every time."""
    given = tree_map(lambda one: one.clone() if isinstance(one, torch.Tensor) else one, inputs)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    program(*given)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return max(time.perf_counter() - began, 1e-9)


if __name__ == "__main__":
    main()
