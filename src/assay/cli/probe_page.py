"""A probe's table on the screen."""

from assay.cli.console import print_table, print_text
from assay.report.probe import RULES, ProbeRow, ProbeTable
from assay.stats.clustered import PathRho
from assay.stats.intervals import Interval

_OF_COPIES = " with the speedups of identical copies, what noise alone gives"


def show_probe(found: ProbeTable) -> None:
    """By step: surprisal, its spread, and the correlations by rule; then what they support in words."""
    own = "its own round" if found.pool == found.run else f"{found.pool}, round"
    print_text(
        f"\nProbe of {found.run}{_OF_COPIES if found.is_null else ''}: {found.correct} correct samples of"
        f" {found.samples} ({own} {found.round}), {found.tasks} tasks"
    )
    columns = ("step", "surprisal", "within-task std", "rho", "change", "rho bottom quartile", "change ", "within task")
    for rule in RULES:
        rows = [_row(row, rule) for row in found.rows if row.rho[rule] is not None]
        if rows:
            print_table(f"\nSurprisal and {rule} speedup", columns, rows, right=columns)
    print_text(found.in_words)
    if found.agreement is not None:
        print_text(f"The pool's own weights give its samples back to {found.agreement:.1e} nats a token.")
    print_text(f"Spent beside the run: {found.spent.teacher_tokens} tokens scored, {found.spent.training_s:.0f} s.")


def _row(row: ProbeRow, rule: str) -> tuple[str, ...]:
    rho = row.rho[rule]
    assert rho is not None
    spread = "-" if row.spread is None else f"{row.spread:.3f}{' (arbitrary)' if row.is_arbitrary else ''}"
    parts = [text for one in (rho.overall, rho.bottom) for text in _pair(one)]
    within = "-" if rho.within_task is None else f"{rho.within_task:+.2f} ({rho.tasks_with_rho} tasks)"
    return (str(row.step), f"{row.surprisal:.3f}", spread, *parts, within)


def _pair(one: PathRho) -> tuple[str, str]:
    return _with(one.rho, one.interval), _with(one.change, one.change_interval)


def _with(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "-"
    return f"{value:+.2f}" + ("" if interval is None else f" [{interval.low:+.2f}, {interval.high:+.2f}]")
