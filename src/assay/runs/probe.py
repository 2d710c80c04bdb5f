"""Over-sharpening probe: one fixed pool of stored samples, scored under every checkpoint of a run.

Kept in the run's directory, beside the run and not as a part of it, since a probe is an analysis that the strategy did
not pay for:

    probe/KEY/pool.json      the samples, with their measured speedups; KEY is a hash of them
    probe/KEY/step-N.json    what the weights of step N say of each, and what that cost

Each file is written whole or not at all, so a probe goes on after an interruption at the step that was in hand.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from assay.core.errors import StoreError, UsageError
from assay.core.ledger import Ledger, Spend
from assay.core.places import write_json
from assay.core.protocols import Policy, Sampler, Trainer
from assay.core.records import Prompt, StoredRecord, Verdict, content_hash
from assay.runs.start import Start, find_start, steps
from assay.runs.store import RunStore

PROBE_FOLDER = "probe"
Kept = TypeVar("Kept", bound=StoredRecord)


class ProbeSample(StoredRecord):
    """A correct sample of the pool. stored_sum: sum of the log-probabilities that it was drawn with.

    raw: its speedup as a point estimate; ratio, verdict: as measured in pairs; verdict None under KernelBench's rule.
    """

    id: str
    task_key: str
    n_tokens: int
    stored_sum: float
    raw: float
    ratio: float
    verdict: Verdict | None


class ProbePool(StoredRecord):
    """A pool: the correct samples of one round of a run. snapshot_id: what they were drawn from.

    samples_in_all: those that are not correct included, which have no speedup and are not scored.
    """

    run: str
    round: int
    model: str
    snapshot_id: str
    samples_in_all: int
    samples: tuple[ProbeSample, ...]

    @property
    def key(self) -> str:
        """Identity of the pool: of the samples with their figures, wherever the run lies."""
        return content_hash(self.model, self.snapshot_id, *(one.model_dump_json() for one in self.samples))


class ProbeStep(StoredRecord):
    """What the weights of a step say of the pool: the sum of raw log-probabilities by sample id, and what it cost."""

    step: int
    snapshot_id: str
    sums: dict[str, float]
    spend: Spend


@dataclass(frozen=True)
class Probe:
    """A probe of a run, as far as it has come: steps ascending."""

    pool: ProbePool
    steps: tuple[ProbeStep, ...]

    @property
    def spent(self) -> Spend:
        """What all steps together cost."""
        ledger = Ledger()
        for one in self.steps:
            ledger.charge(one.spend)
        return ledger.total

    def at(self, wanted: Collection[int]) -> "Probe":
        """The probe at these steps alone."""
        return Probe(self.pool, tuple(one for one in self.steps if one.step in wanted))


@dataclass(frozen=True)
class Scorable:
    """A pool with what scoring takes: prompt and tokens of each sample, in the pool's order."""

    pool: ProbePool
    prompts: tuple[Prompt, ...]
    tokens: tuple[tuple[int, ...], ...]


# Called after a step is stored: the step, and how many steps are done of how many.
ProbeObserver = Callable[[ProbeStep, int, int], None]


def read_pool(run: Path, round: int = 0) -> Scorable:
    """The correct samples of a round. UsageError where there are none, or the run has not that round."""
    with RunStore.open(run) as store:
        attempts = store.attempts(round=round, leave_out_unevaluated=True)
        prompts = {one: store.prompt(one) for one in {attempt.sample.prompt_hash for attempt in attempts}}
        model = str(store.config.get("model"))
    kept = [one for one in attempts if one.evaluation.speedup is not None and one.sample.n_tokens]
    if not kept:
        raise UsageError(f"{run} has no correct sample in round {round}, so there is no pool to score")
    samples = []
    for one in kept:
        speedup, total = one.evaluation.speedup, one.sample.sum_logprob
        assert speedup is not None and total is not None
        facts = {"raw": speedup.raw, "ratio": speedup.ratio, "verdict": one.evaluation.verdict}
        place = {"id": one.sample.id, "task_key": one.sample.task_key, "n_tokens": one.sample.n_tokens}
        samples.append(ProbeSample.model_validate({**place, "stored_sum": total, **facts}))
    pool = ProbePool(
        run=str(run),
        round=round,
        model=model,
        snapshot_id=kept[0].sample.snapshot_id,
        samples_in_all=len(attempts),
        samples=tuple(samples),
    )
    asked = tuple(prompts[one.sample.prompt_hash] for one in kept)
    return Scorable(pool, asked, tuple(one.sample.completion.tokens for one in kept))


def check_probe(run: Path, pool: ProbePool, wanted: Sequence[int] | None) -> tuple[Start, ...]:
    """The checkpoints to score the pool under, before a model is loaded.

    wanted: steps; default all whose weights are there. UsageError where they are not, or the pool is of another model.
    """
    found = tuple(find_start(f"{run}:{step}") for step in (sorted(set(wanted)) if wanted else steps(run)))
    if len(steps(run)) == 1:
        find_start(run)  # which says why there are no others
    if pool.model != found[0].model:
        raise UsageError(
            f"the samples of {pool.run} are {pool.model}'s, and {run} adapted {found[0].model}: give a --pool of that"
        )
    return found


def missing(run: Path, pool: ProbePool, starts: Sequence[Start]) -> tuple[Start, ...]:
    """Those of the checkpoints that the pool is not scored under yet."""
    folder = run / PROBE_FOLDER / pool.key
    return tuple(one for one in starts if not (folder / f"step-{one.step}.json").exists())


async def probe(
    run: Path, scorable: Scorable, starts: Sequence[Start], policy: Policy, observe: ProbeObserver | None = None
) -> None:
    """Scores the pool under every one of `starts` that is not stored yet, and closes the policy.

    UsageError for a policy that cannot score.
    """
    try:
        await _probe(run, scorable, starts, policy, observe)
    finally:
        await policy.close()


async def _probe(
    run: Path, scorable: Scorable, starts: Sequence[Start], policy: Policy, observe: ProbeObserver | None
) -> None:
    if not policy.capabilities.can_score:
        raise UsageError(f"{policy.name} cannot score given completions, which a probe consists of")
    folder = run / PROBE_FOLDER / scorable.pool.key
    if not (folder / "pool.json").exists():
        write_json(folder / "pool.json", scorable.pool.model_dump(mode="json"))
    trainer: Trainer | None = None
    todo = missing(run, scorable.pool, starts)
    for number, start in enumerate(todo, 1):
        sampler = policy.base()
        if start.directory is not None:
            if trainer is None:
                trainer = await policy.trainer(start.lora, start.directory)
            else:
                await trainer.load(start.directory)
            sampler = await trainer.snapshot(f"step-{start.step}")
        found = await _scored(sampler, start.step, scorable)
        write_json(folder / f"step-{start.step}.json", found.model_dump(mode="json"))
        if observe is not None:
            observe(found, number, len(todo))


def stored_probes(run: Path) -> tuple[Probe, ...]:
    """The probes of a run, each as far as it has come; none where it was never probed.

    StoreError for a file that cannot be read.
    """
    found = []
    for path in sorted((run / PROBE_FOLDER).glob("*/pool.json")):
        done = [_read(step, ProbeStep) for step in path.parent.glob("step-*.json")]
        if done:
            found.append(Probe(_read(path, ProbePool), tuple(sorted(done, key=lambda one: one.step))))
    return tuple(found)


async def _scored(sampler: Sampler, step: int, scorable: Scorable) -> ProbeStep:
    """Equal completions of equal prompts are scored once."""
    began = time.monotonic()
    known: dict[tuple[str, tuple[int, ...]], float] = {}
    sums: dict[str, float] = {}
    read = 0
    for sample, prompt, tokens in zip(scorable.pool.samples, scorable.prompts, scorable.tokens, strict=True):
        place = (prompt.hash, tokens)
        if place not in known:
            scored = await sampler.score(prompt, tokens)
            known[place] = sum(scored.logprobs)
            read += len(tokens) + (scored.prompt_tokens or 0)
        sums[sample.id] = known[place]
    spend = Spend(teacher_tokens=read, training_s=time.monotonic() - began)
    return ProbeStep(step=step, snapshot_id=sampler.id, sums=sums, spend=spend)


def _read(path: Path, kind: type[Kept]) -> Kept:
    try:
        return kind.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} cannot be read: {error}. Remove it, and `assay probe` makes it again") from error
