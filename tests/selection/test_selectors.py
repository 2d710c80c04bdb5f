"""Every selector on a pool worked out by hand; ties as exact weights; names."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selection_attempts import attempt

from assay.core.errors import UsageError
from assay.selection import selectors
from assay.selection.pool import Pool
from assay.selection.selectors import SELECTORS, Selector, build_selector, build_selectors, eligible, pick
from assay.stats.best_of_k import top_m_weights

# index: 0 wrong and least expected, 1 slow and expected, 2 fast and rare, 3 middling, short
SAMPLES = Pool.from_attempts(
    [
        attempt(index=0, logprobs=[-9.0] * 4),
        attempt(index=1, logprobs=[-0.1] * 6, ratio=0.9),
        attempt(index=2, logprobs=[-1.0] * 8, ratio=1.5),
        attempt(index=3, logprobs=[-2.0] * 2, ratio=1.2),
    ]
).of(0)


def _chosen(name, samples=SAMPLES):
    found = pick(build_selector(name), samples)
    return None if found is None else dict(zip(found.rows.tolist(), found.weights.tolist(), strict=True))


@pytest.mark.parametrize(
    ("name", "row", "timing_runs"),
    [
        ("oracle", 2, 3),
        ("confidence", 1, 0),
        ("surprisal", 3, 0),
        ("surprisal-top-2", 2, 2),
        ("surprisal-top-3", 2, 3),
        ("surprisal-top-50", 2, 3),
        ("first-correct", 1, 0),
        ("shortest", 3, 0),
        ("deepconf-bottom", 1, 0),
    ],
)
def test_each_selector_picks_its_sample_and_is_charged_for_it(name, row, timing_runs):
    found = pick(build_selector(name), SAMPLES)
    assert found is not None
    assert (found.rows.tolist(), found.weights.tolist(), found.timing_runs) == ([row], [1.0], timing_runs)


def test_random_correct_is_an_expectation_over_the_correct_samples():
    assert _chosen("random-correct") == {1: 1 / 3, 2: 1 / 3, 3: 1 / 3}


def test_length_control_prefers_what_is_surprising_for_its_length():
    # Surprisal grows by 1 a token but for the third sample, which is 2 above the line of the others.
    lengths, surprisals = [1, 2, 3, 4, 5], [1.0, 2.0, 5.0, 4.0, 5.0]
    pool = Pool.from_attempts(
        [
            attempt(index=i, logprobs=[-s] * t, ratio=1.0)
            for i, (t, s) in enumerate(zip(lengths, surprisals, strict=True))
        ]
    )
    assert _chosen("surprisal-length-controlled", pool.of(0)) == {2: 1.0}
    residual = selectors.surprisal_given_length(pool.of(0))
    expected = np.array(surprisals) - np.polyval(np.polyfit(lengths, surprisals, 1), lengths)
    np.testing.assert_allclose(residual, expected, atol=1e-12)


def test_length_control_of_one_length_is_plain_surprisal():
    pool = Pool.from_attempts([attempt(index=i, logprobs=[-s, -s], ratio=1.0) for i, s in enumerate((1.0, 3.0, 2.0))])
    assert _chosen("surprisal-length-controlled", pool.of(0)) == {1: 1.0}


def test_tied_scores_share_the_weight():
    pool = Pool.from_attempts([attempt(index=i, logprobs=[-1.0], ratio=r) for i, r in enumerate((1.0, 2.0))])
    assert _chosen("surprisal", pool.of(0)) == _chosen("confidence", pool.of(0)) == {0: 0.5, 1: 0.5}
    assert _chosen("oracle", pool.of(0)) == {1: 1.0}


def test_a_tie_at_the_cut_of_top_m_is_a_random_subset():
    # One certain sample (speedup 2) and three tied for the second place: 3, 1, 1.
    scores, ratios = (5.0, 1.0, 1.0, 1.0), (2.0, 3.0, 1.0, 1.0)
    pool = Pool.from_attempts(
        [attempt(index=i, logprobs=[-s], ratio=r) for i, (s, r) in enumerate(zip(scores, ratios, strict=True))]
    )
    assert _chosen("surprisal-top-2", pool.of(0)) == {0: pytest.approx(2 / 3), 1: pytest.approx(1 / 3)}


def test_no_correct_or_no_scored_sample_is_no_pick():
    wrong = Pool.from_attempts([attempt(index=0), attempt(index=1)]).of(0)
    empty = Pool.from_attempts([attempt(index=0, logprobs=[], ratio=1.0)]).of(0)
    assert all(pick(selector, wrong) is None for selector in SELECTORS.values())
    assert _chosen("surprisal", empty) is None and _chosen("first-correct", empty) == {0: 1.0}


def test_a_correct_sample_without_a_speedup_loses_against_any_measured_one():
    pool = Pool.from_columns(
        task_key=["t"] * 2, is_correct=[True, True], n_tokens=[1, 1], sum_logprob=[-1, -1], speedup=[None, 0.5]
    )
    assert _chosen("oracle", pool.of(0)) == {1: 1.0}


def test_self_certainty_uses_the_column_where_there_is_one():
    pool = Pool.from_columns(
        task_key=["t"] * 2, is_correct=[True, True], n_tokens=[1, 1], sum_logprob=[-1, -1], self_certainty=[1.0, 2.0]
    )
    assert _chosen("self-certainty", pool.of(0)) == {1: 1.0}
    assert _chosen("self-certainty") is None


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=7), st.integers(1, 8))
def test_a_pick_is_the_best_of_k_at_k_equal_n(rows, m):
    pool = Pool.from_attempts([attempt(index=i, logprobs=[-s], ratio=r) for i, (s, r) in enumerate(rows)])
    selector = Selector("any", selectors.surprisal, top=m)
    found = pick(selector, pool.of(0))
    assert found is not None and found.weights.sum() == pytest.approx(1.0)
    weights = np.zeros(len(rows))
    weights[found.rows] = found.weights
    _, scores, speeds = eligible(selector, pool.of(0))
    np.testing.assert_allclose(weights, top_m_weights(scores, speeds, len(rows), [len(rows)], m)[0], atol=1e-10)


# -- names ------------------------------------------------------------------------------------------------------


def test_registry_names_are_those_of_the_selectors():
    assert all(name == selector.name for name, selector in SELECTORS.items())
    assert build_selector("surprisal-top-12") == Selector("surprisal-top-12", selectors.surprisal, top=12)
    assert build_selector("oracle").top == inf


@pytest.mark.parametrize("name", ["suprisal", "surprisal-top-0", "surprisal-top-x", "surprisal-top-", "random"])
def test_an_unknown_name_lists_the_selectors_and_the_nearest(name):
    with pytest.raises(UsageError, match="Selectors: oracle, random-correct") as caught:
        build_selector(name)
    assert "Did you mean" in str(caught.value)


def test_names_given_twice_count_once():
    assert [s.name for s in build_selectors(["oracle", "shortest", "oracle"])] == ["oracle", "shortest"]


def test_another_package_can_offer_a_selector(tmp_path, monkeypatch):
    (tmp_path / "longest_plugin.py").write_text(
        "from assay.selection.selectors import Selector\n"
        "longest = Selector('longest', lambda samples: samples.n_tokens.astype(float))\n"
        "broken = 3\n"
    )
    metadata = tmp_path / "longest_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: longest-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[{selectors.ENTRY_POINT_GROUP}]\nlongest = longest_plugin:longest\nbroken = longest_plugin:broken\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert _chosen("longest") == {2: 1.0}
    with pytest.raises(UsageError, match="is of type int"):
        build_selector("broken")
    with pytest.raises(UsageError, match="Did you mean longest"):
        build_selector("longst")
