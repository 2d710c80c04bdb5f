"""Transfer within an analysis: runs whose weights another run adapted, beside runs without them, as `report.transfer`
tells it, so that the A/A pools of both sides have the same table.
"""

from collections.abc import Sequence

from assay.report.analysis_runs import RunView
from assay.report.transfer import TransferSide, TransferTable, transfer_between


def transfer_tables(views: Sequence[RunView]) -> tuple[tuple[TransferTable, ...], tuple[str, ...]]:
    """The table of every run that began with adapted weights and has its unadapted counterpart among the others.

    The counterpart began with what the adapting run began with, and has the same model and strategy. Second: a warning
    for each run of adapted weights that no table is made of.
    """
    tables, warnings = [], []
    for view in views:
        if view.origin is None:
            continue
        base = None if not view.origin.is_known else _counterpart(view, views)
        if base is not None:
            tables.append(
                transfer_between(view.origin.run, view.origin.step, _side(base), _side(view), view.origin.learned)
            )
        elif not view.origin.is_known:
            warnings.append(
                f"{view.name} began with weights of {view.origin.run}, which is not there: what they have learned from"
                " is not known, so nothing is said of transfer."
            )
    return tuple(tables), tuple(warnings)


def _counterpart(view: RunView, views: Sequence[RunView]) -> RunView | None:
    assert view.origin is not None
    for other in views:
        is_alike = (other.model, other.strategy) == (view.model, view.strategy)
        if other is not view and is_alike and other.start == view.origin.before:
            return other
    return None


def _side(view: RunView) -> TransferSide:
    return TransferSide(view.name, view.pool, view.is_complete, view.spent)
