"""Attempts and pools for the selection tests."""

from collections.abc import Sequence

from assay.core.records import (
    Attempt,
    Candidate,
    Completion,
    Evaluation,
    Provenance,
    Sample,
    SamplingParams,
    Speedup,
    Status,
    StopReason,
    Verdict,
)


def attempt(
    task: str = "suite/1",
    index: int = 0,
    logprobs: Sequence[float] = (-0.5, -1.5),
    ratio: float | None = None,
    verdict: Verdict | None = None,
    raw: float | None = None,
    source: str = "class ModelNew: pass",
    round: int = 0,
) -> Attempt:
    """A real attempt record: correct if it has a ratio, else a wrong output."""
    sample = Sample(
        id=f"{round}:{task}:{index}",
        task_key=task,
        round=round,
        index=index,
        snapshot_id="s",
        prompt_hash="p",
        prompt_tokens=10,
        params=SamplingParams(),
        completion=Completion(
            tokens=tuple(range(len(logprobs))), logprobs=tuple(logprobs), text="", stop_reason=StopReason.STOP
        ),
    )
    candidate = Candidate(source=source)
    speedup = None
    if ratio is not None:
        speedup = Speedup(
            ratio=ratio, low=ratio * 0.9, high=ratio * 1.1, margin=0.01, pairs=5, replicates=1, raw=raw or ratio
        )
    evaluation = Evaluation(
        task_key=task,
        candidate_hash=candidate.hash,
        status=Status.WRONG_OUTPUT if ratio is None else Status.CORRECT,
        verdict=verdict,
        speedup=speedup,
        provenance=Provenance(device="cpu"),
    )
    return Attempt(sample=sample, candidate=candidate, evaluation=evaluation)
