"""A refinement's turns on the screen."""

from assay.cli.console import print_table, print_text
from assay.report.refinement import Refined


def show_refinement(found: Refined) -> None:
    """By turn, and in words what the model does with what it is shown."""
    columns = ("turn", "samples", "correct", "raw>1", "faster", "new programs", "fixed", "broken", "repeated", "solved")
    rows = [
        (
            *map(str, (row.turn, row.samples, row.correct, row.fast_raw, row.fast_verified, row.first_programs)),
            f"{row.fixed} of {row.shown_wrong}" if row.turn else "-",
            f"{row.broken} of {row.shown_correct}" if row.turn else "-",
            str(row.repeated) if row.turn else "-",
            f"{row.solved:.0%}",
        )
        for row in found.turns
    ]
    print_table("\nTurns", columns, rows, right=columns)
    print_text(found.in_words)
