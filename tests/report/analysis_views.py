"""Small runs for the analysis tests, as views; outcomes are written out sample by sample."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fakes import make_task

from assay.core.ledger import Spend
from assay.core.records import Evaluation, Provenance, Speedup, Status, Verdict
from assay.report.analysis_runs import RunView
from assay.selection.pool import Pool


class S(NamedTuple):
    """A sample: raw and ratio are None unless it is correct."""

    raw: float | None = None
    verdict: Verdict | None = None
    logprob: float = -1.0
    program: str | None = None
    round: int = 0
    tokens: int = 1
    ratio: float | None = None


FAST = S(2.0, Verdict.FASTER)
LUCKY = S(1.2, Verdict.SAME)
SLOW = S(0.9, Verdict.SAME)
WRONG = S()


def make_pool(tasks: Mapping[str, Sequence[S]]) -> Pool:
    rows = [(f"fake/{task}", index, one) for task, samples in tasks.items() for index, one in enumerate(samples)]
    ratios = [one.raw if one.ratio is None else one.ratio for _, _, one in rows]
    return Pool.from_columns(
        task_key=[key for key, _, _ in rows],
        index=[index for _, index, _ in rows],
        round=[one.round for _, _, one in rows],
        is_correct=[one.raw is not None for _, _, one in rows],
        n_tokens=[one.tokens for _, _, one in rows],
        sum_logprob=[one.logprob * one.tokens for _, _, one in rows],
        raw=[one.raw for _, _, one in rows],
        speedup=ratios,
        low=ratios,
        high=ratios,
        verdict=[one.verdict for _, _, one in rows],
        candidate_hash=[one.program or f"{key}:{index}" for key, index, one in rows],
    )


def make_view(tasks: Mapping[str, Sequence[S]], name: str = "run", controls=None, **changes) -> RunView:
    fields = {
        "name": name,
        "model": "fake",
        "strategy": "best-of-n",
        "device": "cpu",
        "rule": "assay",
        "is_complete": True,
        "tasks": tuple(make_task(task) for task in tasks),
        "pool": make_pool(tasks),
        "controls": controls or {},
        "shortlist": None,
        "spent": Spend(rollouts=8, prompt_tokens=100, completion_tokens=60, teacher_tokens=40),
        "notes": (),
    }
    return RunView(**(fields | changes))


def copy(task: str, raw: float | None, verdict: Verdict | None = Verdict.SAME, number: int = 0) -> Evaluation:
    """The measurement of an identical copy; raw None: it failed."""
    speedup = None
    if raw is not None:
        speedup = Speedup(ratio=raw, low=raw, high=raw, margin=0.01, pairs=5, replicates=1, raw=raw)
    return Evaluation(
        task_key=f"fake/{task}",
        candidate_hash=f"copy{number}",
        status=Status.RUNTIME_ERROR if raw is None else Status.CORRECT,
        verdict=None if raw is None else verdict,
        speedup=speedup,
        provenance=Provenance(device="cpu"),
    )
