"""One model tried out: loaded or connected to, its log-probabilities proven, one sample drawn."""

import asyncio
import time
from typing import Literal

from assay.core.protocols import LossName, Policy
from assay.core.records import Prompt, Record, SamplingParams
from assay.policies.models import Progress
from assay.policies.probe_logprobs import Probed, ProbeReport, probe_by_rescoring
from assay.policies.renderers import answer_apart
from assay.runs.build import load_policy, prompt_of, resolve
from assay.runs.config import RunConfig
from assay.tasks.suites import load_suite

SAMPLE_TOKENS = 64


class DrawnSample(Record):
    """One completion: what was asked, what came, and how long it took."""

    task_key: str
    text: str
    reasoning: str
    prompt_tokens: int
    completion_tokens: int
    mean_logprob: float | None
    stop_reason: str
    seconds: float


class ModelCheck(Record):
    """What a model can do here. server: the dialect of its server, where it has one.

    why_no_scores: why given text cannot be scored, where the policy says.
    """

    model: str
    device: str
    server: str | None
    prompt_kind: Literal["completion", "chat"]
    can_train: bool
    losses: tuple[LossName, ...]
    can_score: bool
    why_no_scores: str
    topk: int
    context_tokens: int | None
    probe: ProbeReport
    load_s: float
    sample: DrawnSample


def check_model(config: RunConfig, progress: Progress | None = None) -> ModelCheck:
    """Loads the model of `config` and tries it. Raises what loading, sampling and scoring raise."""
    config = resolve(config)
    began = time.monotonic()
    policy = load_policy(config, progress)
    return asyncio.run(_checked(config, policy, time.monotonic() - began))


async def _checked(config: RunConfig, policy: Policy, load_s: float) -> ModelCheck:
    can = policy.capabilities
    try:
        kind = policy.prompt_kind if config.prompt.kind == "auto" else config.prompt.kind
        if isinstance(policy, Probed):
            report = policy.report
        elif can.can_score and can.has_full_logits:
            report = await probe_by_rescoring(policy.base(), kind)
        else:
            report = ProbeReport.nothing()
        task = load_suite("starter").tasks[0]
        sample = await _sample(config, policy, prompt_of(config, policy.prompt_kind)(task))
    finally:
        await policy.close()
    return ModelCheck(
        model=policy.name,
        device=policy.device,
        server=policy.dialect if isinstance(policy, Probed) else None,
        prompt_kind=policy.prompt_kind,
        can_train=can.can_train,
        losses=can.losses,
        can_score=can.can_score,
        why_no_scores=policy.why_no_scores if isinstance(policy, Probed) else "",
        topk=can.topk,
        context_tokens=can.context_tokens,
        probe=report,
        load_s=load_s,
        sample=sample,
    )


async def _sample(config: RunConfig, policy: Policy, prompt: Prompt) -> DrawnSample:
    params = SamplingParams(
        temperature=config.sampling.temperature, top_p=config.sampling.top_p, max_tokens=SAMPLE_TOKENS, seed=config.seed
    )
    began = time.monotonic()
    draw = await policy.base().sample(prompt, 1, params)
    seconds = time.monotonic() - began
    completion = answer_apart(draw.completions[0])
    count = len(completion.tokens)
    return DrawnSample(
        task_key=prompt.task_key,
        text=completion.text,
        reasoning=completion.reasoning,
        prompt_tokens=draw.prompt_tokens,
        completion_tokens=count if draw.completion_tokens is None else draw.completion_tokens,
        mean_logprob=sum(completion.logprobs) / count if count else None,
        stop_reason=completion.stop_reason,
        seconds=seconds,
    )
