"""What the numbers of a run support, and what they do not, in words."""

from collections import Counter
from collections.abc import Sequence

from assay.core.records import Verdict
from assay.report.repeats import repeats_in_words
from assay.report.tables import Measured, RunTables, TaskLine
from assay.stats.intervals import geometric_mean
from assay.stats.power import rate_in_words


def in_words(tables: RunTables) -> str:
    """What is supported, what the published rule would have claimed, and what identical programs gave."""
    lines = [line for line in tables.tasks if line.samples]
    if not lines:
        return "Nothing was sampled, so nothing can be said."
    controls = [control for line in tables.tasks for control in line.controls]
    if has_verdicts(lines):
        said = [_wins(lines), _raw_rule(lines), repeats_in_words(tables.repeats), _controls(controls)]
    else:
        said = [_published_rule(lines), repeats_in_words(tables.repeats), _published_controls(controls)]
    if not tables.is_complete:
        said.insert(0, "The run is not complete.")
    return " ".join(text for text in said if text)


def copies_in_words(copies: Sequence[Measured]) -> str:
    """What was said of identical copies: of one its verdict and ratio, of several the counts and the range."""
    called = Counter(str(one.verdict or one.status) for one in copies)
    ratios = [one.ratio for one in copies if one.ratio is not None]
    if not copies:
        return "-"
    if len(copies) == 1:
        return f"{called.most_common()[0][0]} {f'{ratios[0]:.2f}x' if ratios else '-'}"
    between = f" {min(ratios):.2f}x to {max(ratios):.2f}x" if ratios else ""
    return f"{', '.join(f'{count} {verdict}' for verdict, count in called.most_common())}{between}"


def has_verdicts(lines: Sequence[TaskLine]) -> bool:
    """False where programs were timed and none has a verdict: under KernelBench's rule."""
    timed = [
        one for line in lines for one in (line.picked, line.again, *line.controls) if one and one.ratio is not None
    ]
    return not timed or any(one.verdict is not None for one in timed)


def _published_rule(lines: Sequence[TaskLine]) -> str:
    correct, fast = sum(line.correct for line in lines), sum(line.fast_raw for line in lines)
    if not correct:
        return "No sample is correct, so no speed was measured."
    won = sum(line.fast_raw > 0 for line in lines)
    return (
        f"Judged by KernelBench's rule, which compares two mean times and has no verdict: it calls {fast} of"
        f" {_count(correct, 'correct sample')} fast. Tasks with such a sample: {rate_in_words(won, len(lines))} How"
        " many of them are faster programs and how many lucky measurements this rule cannot say; a run judged in pairs"
        " can."
    )


def _published_controls(controls: Sequence[Measured]) -> str:
    if not controls:
        return "No identical program was measured beside them, so the noise is not shown here."
    called = sum(one.is_fast_raw for one in controls)
    return f"Identical copies of the references that it called fast: {rate_in_words(called, len(controls), 'copies')}"


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
