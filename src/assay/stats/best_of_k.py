"""What a draw of K samples would have given, from one draw of n: exact estimators, no resampling.

Every estimator here is an average over all k-subsets of the n samples. A subset's figure is that of one chosen member,
so each estimator comes down to weights: the probability, over subsets, that a given sample is the chosen one.

- pass@k = 1 - C(n-c, k) / C(n, k), the chance that a subset holds one of c successes (Chen et al. 2021,
  arXiv:2107.03374).
- Ranked selection: the member that is ranked j-th of n (j = 1 is chosen first) is the one chosen with probability
  C(n-j, k-1) / C(n, k). Ranked by its own value this is max@k; ranked by a score it is selected@k.
- Top-m selection, the fastest of the m best-scored: see `top_m_weights`.

Ties in a score are broken at random, and their expectation is taken exactly.

Axis suffixes: N samples, C eligible (correct) samples, K subset sizes.
"""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import model_validator
from scipy.special import gammaln

from assay.core.records import Record

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Elements of the largest temporary of `top_m_weights`: 8 bytes each.
_CHUNK_ELEMENTS = 200_000


def default_ks(n: int) -> Ints:
    """The powers of two below n, and n itself; empty for n = 0."""
    powers = 2 ** np.arange(max(n, 1).bit_length(), dtype=np.int64)
    return np.append(powers[powers < n], n) if n > 0 else np.empty(0, np.int64)


def pass_at_k(n: int, c: int, ks: ArrayLike) -> Floats:
    """Chance that k of n samples, drawn without replacement, hold at least one of the c successes, for each k.

    A running product in the log domain, O(n) for the whole curve. ValueError unless 0 <= c <= n and 1 <= k <= n.
    """
    ks_K = _checked_ks(n, ks)
    if not 0 <= c <= n:
        raise ValueError(f"{c} successes among {n} samples")
    certain_from = n - c + 1  # from this k on, a subset cannot miss every success
    i = np.arange(min(int(ks_K.max(initial=0)), n - c))
    log_miss = np.append(0.0, np.cumsum(np.log1p(-c / (n - i))))
    return np.where(ks_K >= certain_from, 1.0, -np.expm1(log_miss[np.minimum(ks_K, n - c)]))


def max_at_k(values_N: ArrayLike, ks: ArrayLike) -> Floats:
    """Expected maximum of k of the n values: sum over i >= k of C(i-1, k-1) / C(n, k) times the i-th smallest value.

    Failures belong in `values_N`, with the value that a failure is worth (usually 0).
    """
    values = np.asarray(values_N, float)
    return selected_at_k(values, values, len(values), ks)


def selected_at_k(scores_C: ArrayLike, values_C: ArrayLike, n: int, ks: ArrayLike, otherwise: float = 0.0) -> Floats:
    """Expected value of the best-scored eligible sample among k of n, for each k.

    scores_C, values_C: the eligible samples only; the other n - C take part in the draw and are never chosen.
    otherwise: the value of a subset without an eligible sample.
    """
    values = np.asarray(values_C, float)
    weights_KC = selected_weights(scores_C, n, ks)
    missing_K = 1.0 - pass_at_k(n, len(values), ks)
    return weights_KC @ values + otherwise * missing_K


def first_k(values_N: ArrayLike, ks: ArrayLike) -> Floats:
    """The maximum of the first k values in the order they were drawn: one realisation, not an expectation."""
    values = np.asarray(values_N, float)
    ks_K = _checked_ks(len(values), ks)
    return np.maximum.accumulate(values)[ks_K - 1] if len(values) else np.empty(0)


def rank_weights(n: int, k: int, count: int | None = None) -> Floats:
    """Probability that the sample ranked 1, 2, .. `count` (default n) of n is the best-ranked of a k-subset.

    w_1 = k/n and w_{j+1} = w_j (n-j-k+1) / (n-j), as a running sum of logarithms.
    """
    wanted = n if count is None else count
    weights = np.zeros(wanted)
    ranks = np.arange(1, min(wanted, n - k + 1))
    steps = np.append(0.0, np.cumsum(np.log1p(-(k - 1) / (n - ranks))))[:wanted]
    weights[: len(steps)] = k / n * np.exp(steps)
    return weights


def selected_weights(scores_C: ArrayLike, n: int, ks: ArrayLike) -> Floats:
    """Probability that each eligible sample is the best-scored one of k of n, shape (K, C).

    A row adds up to the chance that the subset holds an eligible sample at all. Tied samples share their weight.
    """
    scores = _checked_scores(scores_C, n)
    ks_K = _checked_ks(n, ks)
    order, start, size = _tie_groups(scores)
    weights_KC = np.zeros((len(ks_K), len(scores)))
    first = np.unique(start)
    for row, k in enumerate(ks_K):
        ranked = rank_weights(n, int(k), len(scores))
        if len(first) < len(scores):
            ranked = np.add.reduceat(ranked, first).repeat(size[first]) / size
        weights_KC[row, order] = ranked
    return weights_KC


def top_m_weights(scores_C: ArrayLike, values_C: ArrayLike, n: int, ks: ArrayLike, m: int) -> Floats:
    """Probability that each eligible sample is the best-valued of the m best-scored of k of n, shape (K, C). Exact.

    Let the eligible samples stand in order of their score, and call a sample good if it is among the d best values. No
    good one is in the top m if and only if the first m drawn are all bad. Summed over the position t of the m-th
    drawn one, with B_t bad ones before it, that is

        F_d = sum over bad t of C(B_t, m-1) C(n-t, k-m) / C(n, k)
              + sum over s < m of C(B, s) C(n-c, k-s) / C(n, k)        (fewer than m drawn, all of them bad)

    and the sample with the (d+1)-th best value is picked with probability F_d - F_{d+1}. Within a group of tied
    scores, the random order is averaged over by Vandermonde's identity (`_bad_share`). Equal values go to the better
    score, then to the earlier sample. Costs O(C^2) a group size up to m; with m = 1 or m >= C it costs O(C log C).
    """
    scores = _checked_scores(scores_C, n)
    values = np.asarray(values_C, float)
    if len(values) != len(scores) or m < 1:
        raise ValueError(f"{len(values)} values for {len(scores)} scores, top {m}")
    ks_K, c = _checked_ks(n, ks), len(scores)
    if m == 1 or c == 0:
        return selected_weights(scores, n, ks_K)
    value_order = np.lexsort((np.arange(c), -scores, -values))
    value_rank = np.empty(c, np.int64)
    value_rank[value_order] = np.arange(c)
    if m >= c:
        return selected_weights(-value_rank, n, ks_K)

    log_factorial = gammaln(np.arange(n + 1) + 1.0)
    order, start, size = _tie_groups(scores)
    mth_at_KC = _mth_drawn_at(n, ks_K, m, c, log_factorial)
    none_good_KD = np.empty((len(ks_K), c + 1))
    step = max(1, _CHUNK_ELEMENTS // c)
    for low in range(0, c + 1, step):
        d = np.arange(low, min(low + step, c + 1))
        is_bad_DC = value_rank[order][None, :] >= d[:, None]
        share_DC = _bad_share(is_bad_DC, start, size, m, log_factorial)
        none_good_KD[:, d] = mth_at_KC @ share_DC.T + _fewer_than_m(n, ks_K, m, c, c - d, log_factorial)
    weights_KC = np.empty((len(ks_K), c))
    weights_KC[:, value_order] = np.maximum(none_good_KD[:, :-1] - none_good_KD[:, 1:], 0.0)
    return weights_KC


# -- equivalent K -----------------------------------------------------------------------------------------------


class EquivalentK(Record):
    """The K at which a best-of-K curve reaches a figure; `below` the curve's first K, `within`, or `above` its last.

    k exists if and only if the figure lies within the curve. `str()` gives "< 1", "3.1" or "> 64".
    """

    place: Literal["below", "within", "above"]
    k: float | None
    first_k: int
    last_k: int

    @model_validator(mode="after")
    def _k_exists_within(self) -> Self:
        if (self.k is not None) != (self.place == "within"):
            raise ValueError(f"an equivalent K {self.place} the curve with k = {self.k}")
        return self

    def __str__(self) -> str:
        """The way tables show it."""
        ends = {"below": f"< {self.first_k}", "above": f"> {self.last_k}"}
        return ends[self.place] if self.k is None else f"{self.k:.3g}"


def equivalent_k(ks: Sequence[int], curve_K: ArrayLike, figure: float) -> EquivalentK:
    """The smallest K at which `curve_K`, interpolated linearly in log K, reaches `figure`.

    The curve is that of best-of-K over increasing `ks`; ValueError if it is empty, not increasing in K, or falls.
    """
    ks_K, curve = np.asarray(ks, float), np.asarray(curve_K, float)
    if len(ks_K) == 0 or len(ks_K) != len(curve):
        raise ValueError(f"{len(ks_K)} sizes with {len(curve)} figures")
    if np.any(np.diff(ks_K) <= 0) or np.any(np.diff(curve) < -1e-9):
        raise ValueError("an equivalent K needs a curve that does not fall as K grows")
    ends = {"first_k": int(ks_K[0]), "last_k": int(ks_K[-1])}
    if figure < curve[0]:
        return EquivalentK(place="below", k=None, **ends)
    if figure > curve.max():
        return EquivalentK(place="above", k=None, **ends)
    right = int(np.argmax(curve >= figure))
    if right == 0:
        return EquivalentK(place="within", k=float(ks_K[0]), **ends)
    share = (figure - curve[right - 1]) / (curve[right] - curve[right - 1])
    log_k = np.log(ks_K[right - 1]) + share * (np.log(ks_K[right]) - np.log(ks_K[right - 1]))
    return EquivalentK(place="within", k=float(np.exp(log_k)), **ends)


# -- parts ------------------------------------------------------------------------------------------------------


def _checked_ks(n: int, ks: ArrayLike) -> Ints:
    ks_K = np.atleast_1d(np.asarray(ks, np.int64))
    if len(ks_K) and (ks_K.min() < 1 or ks_K.max() > n):
        raise ValueError(f"subset sizes {ks_K.min()} to {ks_K.max()} of {n} samples: each must lie in 1 .. {n}")
    return ks_K


def _checked_scores(scores_C: ArrayLike, n: int) -> Floats:
    scores = np.asarray(scores_C, float)
    if len(scores) > n or np.isnan(scores).any():
        raise ValueError(f"{len(scores)} scores for {n} samples; every eligible sample needs one that is a number")
    return scores


def _tie_groups(scores_C: Floats) -> tuple[Ints, Ints, Ints]:
    """The order, best score first, and for each place in it the start and the size of its group of equal scores."""
    order = np.argsort(-scores_C, kind="stable")
    ranked = scores_C[order]
    first = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1])) if len(ranked) else np.empty(0, np.int64)
    sizes = np.diff(np.append(first, len(ranked)))
    return order, first.repeat(sizes), sizes.repeat(sizes)


def _log_choose(a: Ints, b: Ints | int, log_factorial: Floats) -> Floats:
    """Elementwise log C(a, b), -inf where b < 0 or b > a."""
    a, b = np.broadcast_arrays(a, b)
    possible = (b >= 0) & (b <= a)
    safe_b = np.where(possible, b, 0)
    return np.where(possible, log_factorial[a] - log_factorial[safe_b] - log_factorial[a - safe_b], -np.inf)


def _mth_drawn_at(n: int, ks_K: Ints, m: int, c: int, log_factorial: Floats) -> Floats:
    """Chance that the m-th drawn sample, in rank order, stands at place 1 .. c; shape (K, C), 0 where k < m."""
    before = np.arange(c)[None, :]
    after = _log_choose(n - 1 - before, ks_K[:, None] - m, log_factorial)
    total = _log_choose(np.full_like(ks_K, n), ks_K, log_factorial)[:, None]
    return np.exp(_log_choose(before, m - 1, log_factorial) + after - total)


def _bad_share(is_bad_DC: NDArray[np.bool_], start: Ints, size: Ints, m: int, log_factorial: Floats) -> Floats:
    """Chance that place t and the m-1 drawn before it are all bad, given that those m places were drawn; (D, C).

    With B bad before the group of t, b of its s members bad, and u of its places before t, the random order within
    the group gives sum_i C(B, m-1-i) C(u, i) b!/(b-i-1)! (s-i-1)!/s! over C(t-1, m-1). Without ties only i = 0 is left.
    """
    place, counts = np.arange(len(start)), np.arange(len(start) + 1)
    log_all = _log_choose(place, m - 1, log_factorial)
    log_all = np.where(np.isneginf(log_all), np.inf, log_all)  # places that cannot hold the m-th one: a share of 0
    bad_up_to_DC = np.cumsum(is_bad_DC, axis=1, dtype=np.int32)
    if size.max() == 1:
        return np.exp(_log_choose(counts, m - 1, log_factorial)[bad_up_to_DC - is_bad_DC] - log_all) * is_bad_DC
    bad_up_to = np.pad(bad_up_to_DC, ((0, 0), (1, 0)))
    bad_before = bad_up_to[:, start]
    bad_inside = bad_up_to[:, start + size] - bad_before
    share_DC = np.zeros(is_bad_DC.shape)
    for i in range(min(m, int(size.max()))):
        log_bad_before = _log_choose(counts, m - 1 - i, log_factorial)
        log_bad_inside = _log_choose(counts, i + 1, log_factorial)
        of_place = _log_choose(place - start, i, log_factorial) - log_all
        of_size = _log_choose(size, i + 1, log_factorial)
        is_possible = np.isfinite(of_size)
        exponent = log_bad_before[bad_before] + log_bad_inside[bad_inside]
        share_DC += np.exp(exponent + np.where(is_possible, of_place - np.where(is_possible, of_size, 0.0), -np.inf))
    return share_DC


def _fewer_than_m(n: int, ks_K: Ints, m: int, c: int, bad_D: Ints, log_factorial: Floats) -> Floats:
    """Chance that fewer than m eligible samples are drawn and all of them are bad; shape (K, D)."""
    total = _log_choose(np.full_like(ks_K, n), ks_K, log_factorial)
    chance_KD = np.zeros((len(ks_K), len(bad_D)))
    for s in range(m):
        rest = _log_choose(np.full_like(ks_K, n - c), ks_K - s, log_factorial) - total
        chance_KD += np.exp(rest[:, None] + _log_choose(bad_D, s, log_factorial)[None, :])
    return chance_KD
