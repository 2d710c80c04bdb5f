"""A transfer's table on the screen."""

from assay.cli.console import print_table, print_text
from assay.report.analysis_words import share
from assay.report.transfer import METRICS, TransferLine, TransferTable

_NAMES = {"fast_1_verified": "verified", "fast_1_raw": "raw > 1", "correct": "correct"}


def show_transfer(found: TransferTable) -> None:
    """By task: both sides' shares; then the tests, and what they support in words."""
    numbers = tuple(f"{_NAMES[metric]} {side}" for metric in METRICS for side in ("base", "adapted"))
    rows = [_row(line) for line in found.lines]
    print_table(
        f"\nTransfer of step {found.step} of {found.run}: shares of samples",
        ("task", "learned from", "samples", *numbers),
        rows,
        right=("samples", *numbers),
    )
    rows = [
        (
            _NAMES[metric],
            share(test.base),
            share(test.adapted),
            f"{test.by_share.wins} / {test.by_share.losses} / {test.by_share.ties}",
            *(_p(p) for p in (test.by_share.p_value, test.adjusted_p)),
            f"{test.by_success.only_a} / {test.by_success.only_b}",
            _p(test.by_success.p_value),
        )
        for metric, test in found.tests.items()
    ]
    counts = (
        "base",
        "adapted",
        "ahead / behind / equal",
        "sign test p",
        "after Holm",
        "only adapted / only base",
        "McNemar p",
    )
    print_table(f"\nOver {len(found.compared)} tasks", ("metric", *counts), rows, right=counts)
    for key in found.missing:
        print_text(f"Note: {key} has no judged sample on one side and is left out.")
    if not found.is_complete:
        print_text("Note: one side is not complete.")
    print_text(found.in_words)
    tokens = {side: spent.prompt_tokens + spent.completion_tokens for side, spent in found.spent.items()}
    print_text(
        f"Spent: {tokens['base']} tokens by the unadapted model, {tokens['adapted']} by the adapted one."
        f" The runs are in {found.base} and {found.adapted}."
    )


def _row(line: TransferLine) -> tuple[str, ...]:
    pairs = [share(getattr(side, metric)) for metric in METRICS for side in (line.base, line.adapted)]
    samples = {line.base.samples, line.adapted.samples}
    return (line.task, "yes" if line.is_trained_on else "no", " / ".join(map(str, sorted(samples))), *pairs)


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
