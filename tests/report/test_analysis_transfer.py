"""Transfer in an analysis: which runs belong together, and what noise alone would have shown."""

from analysis_views import FAST, LUCKY, SLOW, WRONG, copy, make_view

from assay.report.analysis import analyse
from assay.report.analysis_runs import Origin

LEARNED = Origin("trained", 2, None, frozenset({"fake/a"}), is_known=True)


def views(**changes):
    base = make_view({"a": [FAST, SLOW], "b": [LUCKY, LUCKY]}, "base")
    adapted = make_view({"a": [FAST, FAST], "b": [WRONG, FAST]}, "adapted", **{"start": "trained:2", "origin": LEARNED})
    return base, adapted


def test_a_run_of_adapted_weights_beside_its_counterpart_is_a_transfer_in_either_order():
    base, adapted = views()
    (table,) = analyse([base, adapted]).transfer
    assert (table.run, table.step, table.base, table.adapted) == ("trained", 2, "base", "adapted")
    assert table.compared == ("fake/b",)
    verified, raw = table.tests["fast_1_verified"], table.tests["fast_1_raw"]
    assert (verified.base, verified.adapted, raw.base, raw.adapted) == (0.0, 0.5, 1.0, 0.5)
    assert analyse([adapted, base]).transfer == (table,)
    assert "tasks would be needed" in table.in_words


def test_a_pair_that_is_given_apart_stands_in_the_table_alone():
    base, adapted = views()
    found = analyse([make_view({"z": [FAST, SLOW]}, "trained", strategy="ttt")], transfers=[(base, adapted)])
    assert len(found.transfer) == 1 and len(found.runs) == 1


def test_runs_of_other_weights_models_or_strategies_are_no_counterpart():
    _, adapted = views()
    for other in (
        make_view({"a": [FAST]}, "other", model="another"),
        make_view({"a": [FAST]}, "other", strategy="ttt"),
        make_view({"a": [FAST]}, "other", start="elsewhere:1"),
    ):
        assert analyse([adapted, other]).transfer == ()


def test_weights_of_a_run_that_is_gone_are_said_to_be_of_unknown_learning():
    base, _ = views()
    gone = make_view(
        {"a": [FAST]}, "adapted", start="gone:1", origin=Origin("gone", 1, None, frozenset(), is_known=False)
    )
    found = analyse([base, gone])
    assert found.transfer == () and "nothing is said of transfer" in found.warnings[-1]


def test_the_null_of_a_transfer_is_made_of_copies():
    controls = {"fake/a": (copy("a", 1.1),), "fake/b": (copy("b", 0.9),)}
    base = make_view({"a": [FAST, SLOW], "b": [LUCKY, LUCKY]}, "base", controls)
    adapted = make_view({"a": [FAST], "b": [WRONG, FAST]}, "adapted", controls, start="trained:2", origin=LEARNED)
    (table,) = analyse([base, adapted], null=True).transfer
    by_task = {line.task: line for line in table.lines}
    assert by_task["fake/a"].base.fast_1_raw == 1.0 and by_task["fake/a"].base.fast_1_verified == 0.0
    assert by_task["fake/b"].adapted.fast_1_raw == 0.0 and by_task["fake/b"].adapted.correct == 0.5


def test_published_transfer_stands_beside_ours():
    base, adapted = views()
    table = analyse([base, adapted], published=True).published
    assert table is not None
    rows = {row.figure: row for row in table.rows if row.figure.startswith("transfer")}
    ours = rows["transfer, subset 1 to 2: samples fast, adapted weights"]
    assert (ours.published, ours.ours_raw, ours.ours_verified) == (0.075, 0.5, 0.5) and len(rows) == 4
