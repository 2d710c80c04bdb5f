"""The best verified program of a run as a file of its own, under a comment that says what was measured and how."""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

import assay
from assay.core.records import Candidate, Evaluation, Speedup, Task
from assay.report.analysis_words import count
from assay.runs.compiled import Compiled, over_compiled
from assay.runs.schema import Purpose
from assay.runs.store import RunStore
from assay.runs.winners import pick_fastest


@dataclass(frozen=True)
class Best:
    """A program that was `faster` at first look and again when measured afresh. again: the second of the two.

    samples, programs: among how many it was found.
    """

    task: Task
    candidate: Candidate
    again: Evaluation
    speedup: Speedup
    samples: int
    programs: int


def best_of(store: RunStore, task: Task) -> Best | None:
    """The first that held up of those that were measured again, in the order of the first look; None if none did.

    The second look does not choose, so that its speedup is not the highest of several measurements.
    """
    looks = store.evaluations(Purpose.SEARCH, task.key)
    again = {one.candidate_hash: one for one in store.evaluations(Purpose.SELECTED, task.key)}
    for look in pick_fastest(looks, len(looks)):
        found = again.get(look.candidate_hash)
        if look.is_verified_faster and found is not None and found.is_verified_faster and found.speedup is not None:
            assert found.candidate_hash is not None
            return Best(
                task=task,
                candidate=store.candidate(found.candidate_hash),
                again=found,
                speedup=found.speedup,
                samples=len(store.pool_columns(task_key=task.key).index),
                programs=len(looks),
            )
    return None


def drop_in(best: Best, compiled: Compiled | None, file: str, check: list[str], level: float) -> str:
    """The text of the file. file: the reference as the user named it; check: the command that measures it again.

    The program's class is `ModelNew`, as the judge wants it; a last line gives it the name of the user's class too.
    """
    speedup, facts = best.speedup, best.again.provenance.facts
    torch_version = f", torch {facts['torch']}" if "torch" in facts else ""
    lines = [
        f"A drop-in for {best.task.name} of {file} (reference {best.task.hash}, program {best.candidate.hash}).",
        f"Written by Assay {assay.__version__} on {datetime.now(UTC):%Y-%m-%d}. Measured on"
        f" {best.again.provenance.device}{torch_version}:",
        f"  over eager:         {_interval(speedup)} ({level:.0%} interval over"
        f" {count(speedup.replicates, 'fresh process', 'fresh processes')}, margin {speedup.margin:.1%})",
        f"  over torch.compile: {_compiled_words(speedup, compiled)}",
        f"The best of {count(best.programs, 'distinct program')} out of {count(best.samples, 'sample')}; its speed was"
        " measured after it was chosen,",
        "in fresh processes on fresh inputs, and its outputs were checked against the reference. Check it again with:",
        f"  {shlex.join(check)}",
    ]
    header = "".join(f"# {' '.join(line.splitlines())}\n" for line in lines)  # a name may hold a line break
    return f"{header}\n{best.candidate.source.strip()}\n\n\n{best.task.name} = ModelNew\n"


def _interval(found: Speedup) -> str:
    return f"{found.ratio:.2f}x [{found.low:.2f}, {found.high:.2f}]"


def _compiled_words(winner: Speedup, compiled: Compiled | None) -> str:
    if compiled is None:
        return "not measured"
    if compiled.ratio is None:
        return f"not measured ({compiled.problem})"
    over = over_compiled(winner, compiled)
    if over is None:
        return f"{winner.ratio / compiled.ratio:.2f}x, without an interval"
    return f"{over.ratio:.2f}x [{over.low:.2f}, {over.high:.2f}] (compiling alone gives {compiled.ratio:.2f}x)"
