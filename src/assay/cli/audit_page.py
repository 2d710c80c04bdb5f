"""How an audit is shown."""

from assay.cli.console import print_table, print_text
from assay.evaluator.audit import AuditReport


def show(report: AuditReport) -> None:
    """Tables of the parts that were run, and a sentence for each."""
    print_text(f"{report.device}; sandbox: {', '.join(report.sandbox) or 'see the red team'}")
    aa = report.aa
    if aa is not None:
        rows = [
            ("called faster", str(aa.false_faster), _percent(aa.faster_interval)),
            ("called slower", str(aa.false_slower), _percent(aa.slower_interval)),
            ("point estimate > 1 (the published rule)", str(aa.raw_faster), f"largest {aa.largest_raw or 0:.2f}x"),
        ]
        print_table(f"\nA/A: {aa.trials} evaluations of identical programs", ("", "count", "95% interval"), rows)
        for line in aa.failed:
            print_text(f"did not run: {line}")
    if report.power:
        rows = [
            (
                row.task,
                "-" if row.reference_ms is None else f"{row.reference_ms:.2f}",
                f"{row.effect:.0%} {row.direction}",
                f"{row.detected}/{row.trials}",
                "-" if row.median_ratio is None else f"{row.median_ratio:.3f}x",
                "-" if row.minimal_effect is None else f"{row.minimal_effect:.1%}",
            )
            for row in report.power
        ]
        print_table(
            "\nPower: programs of known speed", ("task", "ms", "truth", "found", "measured", "detectable"), rows
        )
    red = report.redteam
    if red is not None:
        print_text(
            f"\nRed team: {red.caught} cheats caught, {len(red.missed)} missed;"
            f" {len(red.honest_rejected)} honest twins rejected."
        )
        for name in red.missed:
            print_text(f"missed: {name}")
        for line in red.honest_rejected:
            print_text(f"rejected: {line}")
    print_text("\nThe controls hold." if report.is_passed else "\nThe controls do NOT hold on this machine.")


def _percent(interval: object) -> str:
    low, high = getattr(interval, "low", None), getattr(interval, "high", None)
    return "-" if low is None or high is None else f"{low:.1%} to {high:.1%}"
