"""Small runs in real stores; outcomes are written out sample by sample, as the fake judge reads them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fakes import judge, make_task, render

from assay.core.ledger import Spend
from assay.core.records import Candidate, Completion, Evaluation, ParseFailure, Sample, SamplingParams, StopReason
from assay.runs.schema import Purpose
from assay.runs.store import Drawn, RunStore
from assay.runs.winners import pick_fastest

FAST, SAME, WRONG, NONE = "ratio=1.5", "ratio=1.0", "status=wrong_output", ""
BEST_OF_N = {"model": "fake", "device": "cpu", "seed": 0, "strategy": {"type": "best-of-n", "k": 4}}
TTT = {**BEST_OF_N, "strategy": {"type": "ttt", "k": 2, "steps": 1}}


def store_run(
    directory: Path,
    tasks: Mapping[str, Sequence[Sequence[str]]],
    config: Mapping[str, Any] = BEST_OF_N,
    *,
    shrink: float = 1.0,
    suite: str = "fake",
    tokens: int = 3,
    again: bool = True,
    text: str = "",
) -> Path:
    """A complete run. tasks: id -> rounds -> outcomes; shrink: what is left of a gain when it is measured afresh."""
    made = {task_id: make_task(task_id, suite) for task_id in tasks}
    with RunStore.create(directory, config, list(made.values())) as store:
        for task_id, rounds in tasks.items():
            for round, outcomes in enumerate(rounds):
                _store_round(store, made[task_id], round, outcomes, tokens, text)
            looks = store.evaluations(Purpose.SEARCH, made[task_id].key)
            for look in pick_fastest(looks, 3) if again else ():
                assert look.candidate_hash is not None
                _keep(store, judge(made[task_id], store.candidate(look.candidate_hash), shrink), Purpose.SELECTED, None)
        for round in range(max(map(len, tasks.values()))):
            store.finish_round(round, "s", "2026-01-01T00:00:00+00:00", Spend(updates=1, training_s=2.0))
        store.complete("2026-01-01T00:00:00+00:00")
    return directory


def _store_round(store: RunStore, task, round: int, outcomes: Sequence[str], tokens: int, text: str) -> None:
    prompt = render(task)
    drawn = [
        Drawn(
            Sample(
                id=f"{round}:{task.key}:{index}",
                task_key=task.key,
                round=round,
                index=index,
                snapshot_id="s",
                prompt_hash=prompt.hash,
                prompt_tokens=5,
                params=SamplingParams(),
                completion=Completion(
                    tokens=(1,) * tokens, logprobs=(-1.0,) * tokens, text=text, stop_reason=StopReason.STOP
                ),
            ),
            Candidate(source=f"{text}# {round}:{index} {outcome}\n") if outcome else ParseFailure(reason="no class"),
        )
        for index, outcome in enumerate(outcomes)
    ]
    n = len(drawn)
    spend = Spend(rollouts=n, prompt_tokens=5 * n, completion_tokens=tokens * n, sampling_s=1.0)
    store.add_samples(prompt, drawn, spend)
    for candidate in store.unevaluated(round, task.key):
        _keep(store, judge(task, candidate, 1.0), Purpose.SEARCH, round)


def _keep(store: RunStore, evaluation: Evaluation, purpose: Purpose, round: int | None) -> None:
    spend = Spend(evaluations=1, timing_runs=evaluation.timed_calls, evaluation_s=0.5)
    store.add_evaluation(evaluation, purpose, spend, round)
