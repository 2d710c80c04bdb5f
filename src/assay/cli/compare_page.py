"""A comparison on the screen: its tables, its notes, and at the end what it supports."""

from assay.cli.console import print_table, print_text
from assay.report.compare import Comparison
from assay.report.compare_tables import comparison_tables


def show_comparison(found: Comparison) -> None:
    """Everything of a comparison."""
    for place, table in enumerate(comparison_tables(found)):
        title = f"\n{table.title}" if place else table.title
        print_table(title, table.columns, table.rows, right=table.right, wrapped=table.wrapped)
    for warning in found.warnings:
        print_text(f"Note: {warning}")
    for words in found.in_words:
        print_text(f"\n{words}")
