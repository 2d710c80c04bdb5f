"""The comparison of a report's runs as sections of its page: paired by task, at a matched budget."""

from assay.core.errors import UsageError
from assay.report.compare import compare_at_common_spend
from assay.report.compare_tables import TextTable, comparison_tables
from assay.report.page_model import Report
from assay.report.page_sections import Row, Section, Table

_FOLDED = ("Settings in which they differ", "Spent on the shared tasks")


def comparison_sections(report: Report) -> tuple[Section, ...]:
    """One section for two or more runs with evaluations, the first against all others; none for fewer.

    Runs with different budgets are cut to the spend of the smallest, and the notes say so. Where runs cannot be
    compared at all, the section says why.
    """
    directories = [run.directory for run in report.runs if run.view is not None]
    if len(directories) < 2:
        return ()
    try:
        found = compare_at_common_spend(directories)
    except UsageError as refusal:
        return (Section("comparison", "Comparison", texts=(f"These runs are not compared: {refusal}",)),)
    tables = comparison_tables(found)
    return (
        Section(
            "comparison",
            "Comparison at a matched budget",
            texts=(*found.in_words, *found.warnings),
            tables=tuple(_table(one) for one in tables if not one.title.startswith(_FOLDED)),
            folded=tuple(_table(one) for one in tables if one.title.startswith(_FOLDED)),
        ),
    )


def _table(one: TextTable) -> Table:
    words = next((n for n, column in enumerate(one.columns) if column in one.right), len(one.columns))
    return Table(one.title, one.columns, tuple(Row(cells) for cells in one.rows), text_columns=words)
