"""The null of a probe: its pool with every correct program replaced by the reference, measured the same way.

As in `analysis_null`: each program is given one of its task's measurements of identical copies, drawn with replacement
by a fixed seed; samples of one program share the draw. Surprisal stays, checkpoint by checkpoint, so what is left of a
correlation with speedup is what tasks and chance make of it.
"""

from pathlib import Path

import numpy as np

from assay.core.records import Evaluation
from assay.report.probe import ProbeTable, probe_table
from assay.runs.database import holds_run
from assay.runs.pools import BOOTSTRAP_SEED
from assay.runs.probe import Probe, ProbeSample, stored_probes
from assay.runs.schema import Purpose
from assay.runs.store import RunStore


def null_probe_tables(run: Path) -> tuple[tuple[ProbeTable, ...], tuple[str, ...]]:
    """The null of every stored probe of a run; second: a sentence for each that has none, and why."""
    tables, missing = [], []
    for found in stored_probes(run):
        source = Path(found.pool.run) if holds_run(Path(found.pool.run)) else run
        drawn = null_probe(found, source)
        if drawn is None:
            missing.append(f"The probe of {run} has no null: {source} has no identical copies of its pool's tasks.")
        else:
            tables.append(probe_table(run, drawn, is_null=True))
    return tuple(tables), tuple(missing)


def null_probe(found: Probe, source: Path) -> Probe | None:
    """`found` with measurements of copies for speedups; source: the run that the pool is of. Samples of tasks without
    copies, and those whose draw is a copy that failed, are left out. None where nothing is left.
    """
    with RunStore.open(source) as store:
        copies: dict[str, list[Evaluation]] = {}
        for one in store.evaluations(Purpose.CONTROL):
            copies.setdefault(one.task_key, []).append(one)
        attempts = store.attempts(round=found.pool.round, leave_out_unevaluated=True)
    program_of = {one.sample.id: one.evaluation.candidate_hash for one in attempts}
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    draws: dict[tuple[str, str | None], Evaluation] = {}
    samples = []
    for sample in found.pool.samples:
        program = sample.task_key, program_of.get(sample.id)
        if sample.task_key not in copies or program[1] is None:
            continue
        if program not in draws:
            of_task = copies[sample.task_key]
            draws[program] = of_task[int(rng.integers(len(of_task)))]
        if (drawn := _as_drawn(sample, draws[program])) is not None:
            samples.append(drawn)
    if not samples:
        return None
    return Probe(found.pool.model_copy(update={"samples": tuple(samples)}), found.steps)


def _as_drawn(sample: ProbeSample, drawn: Evaluation) -> ProbeSample | None:
    speedup = drawn.speedup
    if speedup is None:
        return None
    return sample.model_copy(update={"raw": speedup.raw, "ratio": speedup.ratio, "verdict": drawn.verdict})
