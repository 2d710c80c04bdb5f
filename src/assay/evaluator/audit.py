"""The controls, run on the user's own machine: identical programs, programs of known speed, and the red team.

A/A: each task's reference as its own candidate must not be called faster or slower. Power: a program slowed by a known
amount, as candidate (must be found slower) and as reference (the unchanged program must be found faster). Red team: no
cheat may get what it is after, and every honest twin must pass.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from assay.core.records import Candidate, Record, Status, Task, Verdict
from assay.evaluator.calibration import device_name
from assay.evaluator.judge import Judge
from assay.evaluator.redteam.suite import RedTeamCase, load_redteam
from assay.stats.intervals import Interval, clopper_pearson

Progress = Callable[[str], None]


class AaResult(Record):
    """A/A trials: how often an identical program was called faster or slower, and by the rule `point estimate > 1`."""

    trials: int
    false_faster: int
    false_slower: int
    raw_faster: int
    faster_interval: Interval | None
    slower_interval: Interval | None
    largest_raw: float | None
    failed: tuple[str, ...] = ()


class PowerResult(Record):
    """Programs of known relative speed `effect` (0.02: 2% more time) on one task."""

    task: str
    reference_ms: float | None
    effect: float
    trials: int
    detected: int
    direction: str  # "slower": the slowed program as candidate; "faster": as reference
    median_ratio: float | None
    minimal_effect: float | None


class RedTeamResult(Record):
    """Names of the cases."""

    caught: int
    missed: tuple[str, ...]
    honest_rejected: tuple[str, ...]
    escapes: tuple[str, ...]


class AuditReport(Record):
    """All controls of one machine."""

    device: str
    sandbox: tuple[str, ...]
    aa: AaResult | None
    power: tuple[PowerResult, ...]
    redteam: RedTeamResult | None

    @property
    def is_passed(self) -> bool:
        """At most 1% of identical programs called faster, at most 1% slower, no cheat missed, no honest twin
        rejected.
        """
        aa, redteam = self.aa, self.redteam
        if aa is None and redteam is None and not self.power:
            return False  # nothing was shown
        if aa is not None:
            allowed = max(1, math.floor(0.01 * aa.trials))  # one of a few trials is no rate
            if aa.failed or not aa.trials or max(aa.false_faster, aa.false_slower) > allowed:
                return False
        return redteam is None or not (redteam.missed or redteam.honest_rejected)


def audit(
    judge: Judge,
    tasks: Sequence[Task],
    *,
    aa_trials: int,
    effects: Sequence[float],
    power_trials: int,
    power_tasks: int,
    redteam: Literal["quick", "full"] | None,
    progress: Progress,
) -> AuditReport:
    """All controls; a part with nothing to do is left out of the report."""
    aa, tiers = audit_aa(judge, tasks, aa_trials, progress) if aa_trials else (None, ())
    power: tuple[PowerResult, ...] = ()
    if effects and power_trials:
        longest = longest_tasks(judge, tasks, power_tasks)
        power = audit_power(judge, longest, effects, power_trials, progress)
    red = None
    if redteam is not None:
        red = audit_redteam(judge, progress, wanted=lambda case: case.is_quick or redteam == "full")
    return AuditReport(device=device_name(judge.device), sandbox=tiers, aa=aa, power=power, redteam=red)


def longest_tasks(judge: Judge, tasks: Sequence[Task], count: int) -> list[Task]:
    """The `count` tasks whose references take longest; effects are hardest to see on tiny ones."""
    timed = [(judge.evaluate_now(task, Candidate(source=task.source), class_name="Model"), task) for task in tasks]
    ranked = sorted(timed, key=lambda pair: -(pair[0].reference_ms or 0.0))
    return [task for _evaluation, task in ranked[:count]]


def audit_aa(judge: Judge, tasks: Sequence[Task], trials: int, progress: Progress) -> tuple[AaResult, tuple[str, ...]]:
    """`trials` evaluations of references against themselves, spread over `tasks`; also the sandbox tiers in force."""
    faster = slower = raw = done = 0
    largest: float | None = None
    failed: list[str] = []
    tiers: tuple[str, ...] = ()
    for index, task in _spread(tasks, trials):
        found = judge.evaluate_now(task, Candidate(source=task.source), class_name="Model")
        tiers = found.provenance.sandbox or tiers
        if found.speedup is None:
            failed.append(f"{task.key}: {found.status} {found.error[:200]}")
            continue
        done += 1
        faster += found.verdict is Verdict.FASTER
        slower += found.verdict is Verdict.SLOWER
        raw += found.speedup.raw > 1
        largest = max(largest or 0.0, found.speedup.raw)
        progress(f"A/A {index + 1}/{trials} {task.key}: {found.verdict}, raw rule {found.speedup.raw:.3f}")
    result = AaResult(
        trials=done,
        false_faster=faster,
        false_slower=slower,
        raw_faster=raw,
        faster_interval=clopper_pearson(faster, done),
        slower_interval=clopper_pearson(slower, done),
        largest_raw=largest,
        failed=tuple(failed),
    )
    return result, tiers


def audit_power(
    judge: Judge, tasks: Sequence[Task], effects: Sequence[float], trials: int, progress: Progress
) -> tuple[PowerResult, ...]:
    """Known slowdowns on each task, in both directions."""
    results = []
    for task in tasks:
        usual_ms = judge.evaluate_now(task, Candidate(source=task.source), class_name="Model").reference_ms
        if usual_ms is None:
            continue
        for effect in effects:
            slowed = slow_down(task.source, usual_ms * effect, judge.device)
            for direction in ("slower", "faster"):
                if direction == "slower":
                    case, source = task, slowed
                else:
                    case, source = task.model_copy(update={"source": slowed, "scale": f"slowed {effect}"}), task.source
                results.append(_power(judge, case, source, effect, direction, trials))
                progress(f"power {task.key} {effect:+.1%} as {direction}: {results[-1].detected}/{trials}")
    return tuple(results)


def _power(judge: Judge, task: Task, source: str, effect: float, direction: str, trials: int) -> PowerResult:
    found = [judge.evaluate_now(task, Candidate(source=source), class_name="Model") for _ in range(trials)]
    ratios = sorted(e.speedup.ratio for e in found if e.speedup)
    effects = [e.speedup.minimal_effect for e in found if e.speedup and e.speedup.minimal_effect is not None]
    return PowerResult(
        task=task.key,
        reference_ms=found[-1].reference_ms,
        effect=effect,
        trials=trials,
        detected=sum(e.verdict == direction for e in found),
        direction=direction,
        median_ratio=ratios[len(ratios) // 2] if ratios else None,
        minimal_effect=sorted(effects)[len(effects) // 2] if effects else None,
    )


def slow_down(source: str, extra_ms: float, device: str) -> str:
    """The reference of `source` with `extra_ms` of waiting added to each call of `Model`, on the device's own clock."""
    if device == "cpu":
        wait = f"_until = _clock() + {round(extra_ms * 1e6)}\n    while _clock() < _until:\n        pass"
    else:
        # torch's device spin counts clock cycles; the rate is learnt at import, so that the wait is in milliseconds
        wait = f"torch.cuda._sleep(int(_cycles_a_ms() * {extra_ms!r}))"
    return f"""{source}

from time import perf_counter_ns as _clock
from functools import cache as _cache


@_cache
def _cycles_a_ms():
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda._sleep(1_000_000)
    start.record()
    torch.cuda._sleep(10_000_000)
    end.record()
    torch.cuda.synchronize()
    return 10_000_000 / start.elapsed_time(end)


_unchanged = Model.forward


def _slowed(self, *inputs):
    output = _unchanged(self, *inputs)
    {wait}
    return output


Model.forward = _slowed
"""


def audit_redteam(
    judge: Judge, progress: Progress, *, wanted: Callable[[RedTeamCase], bool] = lambda _case: True
) -> RedTeamResult:
    """Every cheat that is wanted, and its honest twin after it on the same judge."""
    missed, rejected, escapes = [], [], []
    caught = 0
    cases = [case for case in load_redteam("cpu" if judge.device == "cpu" else "cuda") if wanted(case)]
    for index, case in enumerate(cases):
        found = judge.evaluate_now(case.reference, case.cheat)
        is_caught = case.is_caught(found)
        caught += is_caught
        if not is_caught:
            missed.append(case.name)
        if case.escape(found) is not None:
            escapes.append(case.name)
        twin = judge.evaluate_now(case.reference, case.twin)
        if twin.status is not Status.CORRECT:
            rejected.append(f"{case.twin_name}: {twin.status} {', '.join(twin.flags)} {twin.error[:120]}")
        state = "caught" if is_caught else "MISSED"
        progress(f"red team {index + 1}/{len(cases)} {case.name}: {state} ({found.status}); twin {twin.status}")
    return RedTeamResult(caught=caught, missed=tuple(missed), honest_rejected=tuple(rejected), escapes=tuple(escapes))


def _spread(tasks: Sequence[Task], trials: int) -> Iterator[tuple[int, Task]]:
    """`trials` tasks, each task's trials together (its reference is set up once), spread evenly."""
    index = 0
    for position, task in enumerate(tasks):
        until = math.floor(trials * (position + 1) / len(tasks))
        while index < until:
            yield index, task
            index += 1
