"""A comparison as tables of texts, for the screen and for pages: each figure beside its interval."""

from collections.abc import Sequence
from typing import NamedTuple

from assay.report.compare import Comparison, TaskSide
from assay.report.compare_figures import AdaptedRates, Figure, SideFigures
from assay.report.compare_tests import Contrast, ShareTest, SpeedTest
from assay.stats.intervals import Interval
from assay.stats.paired import McNemar


class TextTable(NamedTuple):
    """right: columns of numbers; wrapped: columns that may take more lines."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    right: tuple[str, ...] = ()
    wrapped: tuple[str, ...] | None = None


def comparison_tables(found: Comparison) -> list[TextTable]:
    """What is compared, what differs, what was spent, the figures, the tasks, and a table of tests for each side."""
    names = tuple(side.name for side in found.sides)
    tables = [TextTable("Sides", ("", *names), _heads(found.sides), wrapped=names)]
    if found.settings:
        tables.append(_settings(found, names))
    spent = [
        (line.resource.replace("_", " "), *(f"{amount:,.0f}" for amount in line.amounts), _match(line.is_matched))
        for line in found.budgets
    ]
    tables.append(TextTable("Spent on the shared tasks", ("resource", *names, "matched"), spent, names))
    left_out = f", {found.tasks_left_out} not shared and left out" if found.tasks_left_out else ""
    title = f"Figures over {len(found.tasks)} tasks{left_out} (95% intervals over tasks; +- over seeds)"
    tables.append(TextTable(title, ("figure", *names), _figures(found.sides), names))
    return [*tables, _tasks(found, names), *map(_contrast, found.contrasts)]


def _settings(found: Comparison, names: tuple[str, ...]) -> TextTable:
    shared = [setting for setting in found.settings if None not in setting.values]
    others = len(found.settings) - len(shared)
    more = f" ({others} more that not all of them have: --json)" if others else ""
    rows = [(setting.key, *map(str, setting.values)) for setting in shared]
    return TextTable(f"Settings in which they differ{more}", ("setting", *names), rows)


def _heads(sides: Sequence[SideFigures]) -> list[tuple[str, ...]]:
    """What each side is, a line a fact."""
    return [
        ("model", *(side.model for side in sides)),
        ("strategy", *(side.strategy for side in sides)),
        ("device", *(side.device for side in sides)),
        ("rule", *(side.rule for side in sides)),
        ("seeds", *(", ".join("-" if seed is None else str(seed) for seed in side.seeds) for side in sides)),
        ("samples a task", *(f"{side.samples}{' (cut)' if side.is_cut else ''}" for side in sides)),
        ("rounds", *(str(len(side.rounds)) for side in sides)),
    ]


def _figures(sides: Sequence[SideFigures]) -> list[tuple[str, ...]]:
    rows = [
        ("task solved by any sample, raw", *(_share(side.success["raw"]) for side in sides)),
        ("task solved by any sample, verified", *(_share(side.success["verified"]) for side in sides)),
        ("single samples fast, raw", *(_share(side.rate["raw"]) for side in sides)),
        ("single samples fast, verified", *(_share(side.rate["verified"]) for side in sides)),
        ("single samples correct", *(_share(side.correct) for side in sides)),
    ]
    if any(side.adapted for side in sides):
        adapted: list[AdaptedRates | None] = [side.adapted["verified"] if side.adapted else None for side in sides]
        rows += [
            ("verified samples, last round", *(_share(one and one.last_round) for one in adapted)),
            ("verified samples, best round, other half", *(_share(one and one.best_round) for one in adapted)),
        ]
    return [
        *rows,
        ("tasks won, and again when measured afresh", *(_share(side.confirmed) for side in sides)),
        ("speedup left, measured afresh (1x without a win)", *(_ratio(side.speedup) for side in sides)),
        ("speedup of the wins, measured afresh", *(_ratio(side.wins) for side in sides)),
    ]


def _tasks(found: Comparison, names: tuple[str, ...]) -> TextTable:
    suites = {task.task.rpartition("/")[0] for task in found.tasks}
    shared = f"{suites.pop()}/" if len(suites) == 1 else ""
    rows = [(task.task.removeprefix(shared), *map(_task_cell, task.sides)) for task in found.tasks]
    title = "By task: correct, raw, verified of samples; the program picked, measured afresh"
    return TextTable(title, ("task", *names), rows, wrapped=names)


def _task_cell(side: TaskSide) -> str:
    counts = f"{side.correct} {side.fast_raw} {side.fast_verified} of {side.samples}"
    shown = []
    for one in side.winners:
        if one.again is None:
            shown.append("not measured again" if one.is_picked_faster else "no win" if one.candidate_hash else "-")
        else:
            mark = "" if one.is_confirmed else ", no win"
            shown.append(f"{one.again:.2f}x [{one.low:.2f}, {one.high:.2f}]{mark}")
    return f"{counts}; {' / '.join(shown)}"


def _contrast(contrast: Contrast) -> TextTable:
    rows = [
        (f"{metric}, {rule}", *_share_cells(shares[rule]))
        for metric, shares in (("tasks solved", contrast.success), ("single samples", contrast.rate))
        for rule in ("verified", "raw")
    ]
    rows.append(("speedup left, measured afresh", *_speed_cells(contrast.speed)))
    columns = ("figure", "difference", "h", "ahead-behind-equal", "test", "p", "Holm", "tasks needed")
    return TextTable(f"{contrast.other} against {contrast.first}, paired by task", columns, rows, columns[1:])


def _share_cells(share: ShareTest) -> tuple[str, ...]:
    test = share.test
    if isinstance(test, McNemar):
        name, counts = "McNemar", f"{test.only_a}-{test.only_b}-{test.both + test.neither}"
    else:
        name, counts = "sign", f"{test.wins}-{test.losses}-{test.ties}"
    difference = f"{100 * share.difference:+.1f} points{_ends(share.interval, 100, '+.0f')}"
    return (
        difference,
        f"{share.cohens_h:+.2f}",
        *(counts, name, _p(test.p_value), _p(share.adjusted_p), _count(share.tasks_needed)),
    )


def _speed_cells(speed: SpeedTest) -> tuple[str, ...]:
    ahead = sum(value > 0 for value in speed.log_ratios)
    behind = sum(value < 0 for value in speed.log_ratios)
    counts = f"{ahead}-{behind}-{speed.tasks - ahead - behind}"
    ratio = "-" if speed.ratio is None else f"{speed.ratio:.3f} times"
    return ratio, "-", counts, "Wilcoxon", _p(speed.test.p_value), _p(speed.adjusted_p), _count(speed.tasks_needed)


# -- cells ------------------------------------------------------------------------------------------------------


def _share(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    std = "" if figure.std is None else f" +- {100 * figure.std:.1f}"
    return f"{100 * figure.value:.1f}%{std}{_ends(figure.interval, 100, '.0f')}"


def _ratio(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    std = "" if figure.std is None else f" +- {figure.std:.2f}"
    return f"{figure.value:.2f}x{std}{_ends(figure.interval, 1, '.2f')}"


def _ends(interval: Interval | None, scale: float, form: str) -> str:
    return "" if interval is None else f" [{scale * interval.low:{form}}, {scale * interval.high:{form}}]"


def _match(is_matched: bool) -> str:
    return "yes" if is_matched else "no"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
