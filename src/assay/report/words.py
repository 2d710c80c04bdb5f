"""What the numbers of a run support, and what they do not, in words."""

from collections.abc import Sequence

from assay.core.records import Verdict
from assay.report.tables import Measured, RunTables, TaskLine
from assay.stats.intervals import geometric_mean
from assay.stats.power import rate_in_words


def in_words(tables: RunTables) -> str:
    """What is supported, what the published rule would have claimed, and what identical programs gave."""
    lines = [line for line in tables.tasks if line.samples]
    if not lines:
        return "Nothing was sampled, so nothing can be said."
    said = [_wins(lines), _raw_rule(lines), _controls([control for line in tables.tasks for control in line.controls])]
    if not tables.is_complete:
        said.insert(0, "The run is not complete.")
    return " ".join(text for text in said if text)


def _wins(lines: Sequence[TaskLine]) -> str:
    wins = [line.again.ratio for line in lines if line.is_win and line.again and line.again.ratio]
    text = f"A program that is faster, and faster again when measured afresh: {rate_in_words(len(wins), len(lines))}"
    mean = geometric_mean(wins)
    if mean is not None:
        text += f" Measured afresh, the wins are {mean.value:.2f}x" + (" (geometric mean)." if mean.n > 1 else ".")
    lost = [line for line in lines if line.picked and line.picked.verdict is Verdict.FASTER and not line.is_win]
    if lost:
        text += f" {_count(len(lost), 'task')} looked faster at first and did not hold up, or was not measured again."
    return text


def _raw_rule(lines: Sequence[TaskLine]) -> str:
    correct, fast = sum(line.correct for line in lines), sum(line.fast_raw for line in lines)
    if not correct:
        return "No sample is correct, so no speed was measured."
    tasks = sum(line.fast_raw > 0 for line in lines)
    verified = sum(line.fast_verified for line in lines)
    return (
        f"A rule that believes every point estimate above 1 would have called {fast} of"
        f" {_count(correct, 'correct sample')} fast, on {tasks} of {_count(len(lines), 'task')};"
        f" {verified} {'has' if verified == 1 else 'have'} the verdict."
    )


def _controls(controls: Sequence[Measured]) -> str:
    if not controls:
        return "No identical program was measured beside them, so the noise is not shown here."
    called = sum(one.verdict is Verdict.FASTER for one in controls)
    raw = sum(one.is_fast_raw for one in controls)
    return (
        f"Of {_count(len(controls), 'identical copy of a reference', 'identical copies of the references')}, {called}"
        f" {'was' if called == 1 else 'were'} called faster; that rule would have called {raw} fast."
    )


def _count(n: int, one: str, many: str | None = None) -> str:
    return f"{n} {one if n == 1 else many or one + 's'}"
