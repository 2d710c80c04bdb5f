"""Selectors: which sample of a task's pool to keep, after the fact.

A selector is a score over the samples of one task and a number m: of the correct samples, the m best-scored are timed
and the fastest of them is kept. m = 1 needs no timing. Ties in the score are broken at random, and a `Pick` holds the
exact chance of each sample rather than one draw; equal speedups go to the better score, then to the earlier sample.

The scores are pure functions from `Samples` to one number a sample, higher = chosen first, NaN = cannot be scored.
Axis suffix: N samples of one task.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from math import inf

import numpy as np
from numpy.typing import NDArray

from assay.core.errors import UsageError
from assay.selection.pool import Floats, Ints, Samples
from assay.stats.best_of_k import rank_weights

ENTRY_POINT_GROUP = "assay.selectors"
TOP_M_PREFIX = "surprisal-top-"


@dataclass(frozen=True)
class Selector:
    """A score, how many of the best-scored correct samples are timed, and the optional column that the score needs.

    top: 1 = the best-scored is kept untimed; m = the fastest of the m best-scored; inf = the fastest of all.
    Other packages offer one through an entry point of group `assay.selectors` that names a `Selector`.
    """

    name: str
    score: Callable[[Samples], Floats]
    top: float = 1
    needs: str | None = None


@dataclass(frozen=True)
class Pick:
    """Samples that may be kept, the chance of each (adding up to 1), and how many samples had to be timed to choose.

    Identical programs count once each: an evaluator that remembers programs may spend less.
    """

    rows: Ints
    weights: Floats
    timing_runs: int


def pick(selector: Selector, samples: Samples) -> Pick | None:
    """What `selector` keeps of one task's samples; None where no correct sample can be scored."""
    rows, scores, speeds = eligible(selector, samples)
    if len(rows) == 0:
        return None
    if selector.top == 1:
        best = np.flatnonzero(scores == scores.max())
        return Pick(rows[best], np.full(len(best), 1 / len(best)), timing_runs=0)
    m = int(min(selector.top, len(rows)))
    cutoff = np.partition(scores, -m)[-m]
    certain, edge = np.flatnonzero(scores > cutoff), np.flatnonzero(scores == cutoff)
    weights = np.zeros(len(rows))
    by_speed = np.lexsort((np.arange(len(rows)), -scores, -speeds))
    edge_by_speed = by_speed[np.isin(by_speed, edge)]
    # The m - len(certain) places left are a random subset of the edge: its fastest is chosen as in best of k.
    weights[edge_by_speed] = rank_weights(len(edge), m - len(certain))
    if len(certain):
        fastest = by_speed[np.isin(by_speed, certain)][0]
        slower = by_speed[np.flatnonzero(by_speed == fastest)[0] + 1 :]
        weights[fastest] = weights[slower].sum()
        weights[slower] = 0.0
    kept = np.flatnonzero(weights)
    return Pick(rows[kept], weights[kept], timing_runs=m)


def eligible(selector: Selector, samples: Samples) -> tuple[Ints, Floats, Floats]:
    """The correct samples that can be scored: their rows, scores, and speedups (-inf where none was measured)."""
    scores = selector.score(samples)
    rows = np.flatnonzero(samples.is_correct & ~np.isnan(scores))
    speeds = samples.speedup[rows]
    return rows, scores[rows], np.where(np.isnan(speeds), -np.inf, speeds)


# -- scores -----------------------------------------------------------------------------------------------------


def any_sample(samples: Samples) -> Floats:
    """All alike: with top = 1 a random correct sample, with top = inf the oracle."""
    return np.zeros(len(samples))


def confidence(samples: Samples) -> Floats:
    """Mean log-probability a token: the most expected sample first."""
    return samples.mean_logprob


def surprisal(samples: Samples) -> Floats:
    """Minus the mean log-probability: the least expected sample first (Barnes 2026, arXiv:2602.07670)."""
    return -samples.mean_logprob


def drawn_first(samples: Samples) -> Floats:
    """In drawn order; the first correct sample is what a loop that stops at success would keep."""
    return -np.arange(len(samples), dtype=float)


def shortest(samples: Samples) -> Floats:
    """Fewest tokens first."""
    return np.where(samples.n_tokens < 0, np.nan, -samples.n_tokens.astype(float))


def surprisal_given_length(samples: Samples) -> Floats:
    """Residual of surprisal after a least-squares line on length, fitted to all scored samples of the task.

    The fit needs no judge, so incorrect samples take part. With fewer than 3 samples, or one length, there is nothing
    to control for and surprisal itself is left, less its mean.
    """
    surprisals, lengths = -samples.mean_logprob, samples.n_tokens.astype(float)
    known = ~np.isnan(surprisals)
    if not known.any():
        return surprisals
    x = lengths - lengths[known].mean()
    y = surprisals - surprisals[known].mean()
    spread = float(x[known] @ x[known])
    slope = float(x[known] @ y[known]) / spread if known.sum() > 2 and spread > 0 else 0.0
    return y - slope * x


def deepconf_bottom(samples: Samples) -> Floats:
    """`bottom_logprob`: the sample whose least certain stretch is most certain first (after arXiv:2508.15260)."""
    return _column(samples.bottom_logprob, samples)


def self_certainty(samples: Samples) -> Floats:
    """Mean divergence of the predictions from uniform, highest first (Kang et al. 2025, arXiv:2502.18581)."""
    return _column(samples.self_certainty, samples)


def _column(column: NDArray[np.float64] | None, samples: Samples) -> Floats:
    return np.full(len(samples), np.nan) if column is None else column


# -- registry ---------------------------------------------------------------------------------------------------

SELECTORS: dict[str, Selector] = {
    "oracle": Selector("oracle", any_sample, top=inf),
    "random-correct": Selector("random-correct", any_sample),
    "confidence": Selector("confidence", confidence),
    "surprisal": Selector("surprisal", surprisal),
    "surprisal-top-3": Selector("surprisal-top-3", surprisal, top=3),
    "first-correct": Selector("first-correct", drawn_first),
    "shortest": Selector("shortest", shortest),
    "surprisal-length-controlled": Selector("surprisal-length-controlled", surprisal_given_length),
    "deepconf-bottom": Selector("deepconf-bottom", deepconf_bottom, needs="bottom_logprob"),
    "self-certainty": Selector("self-certainty", self_certainty, needs="self_certainty"),
}


def build_selector(name: str) -> Selector:
    """The selector of that name: one of `SELECTORS`, `surprisal-top-M` for any M >= 1, or another package's.

    UsageError for an unknown name, with the names that exist and the nearest ones, and for a plug-in that is none.
    """
    if name in SELECTORS:
        return SELECTORS[name]
    m = name.removeprefix(TOP_M_PREFIX)
    if name.startswith(TOP_M_PREFIX) and m.isascii() and m.isdigit() and int(m) > 0:
        return Selector(f"{TOP_M_PREFIX}{int(m)}", surprisal, top=int(m))
    plugins = entry_points(group=ENTRY_POINT_GROUP)
    if name not in plugins.names:
        known = [*SELECTORS, f"{TOP_M_PREFIX}M", *sorted(plugins.names)]
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"There is no selector {name!r}.{hint} Selectors: {', '.join(known)}.")
    loaded = plugins[name].load()
    if not isinstance(loaded, Selector):
        raise UsageError(f"The plug-in selector {name!r} is of type {type(loaded).__name__}, not an assay Selector.")
    return loaded


def build_selectors(names: Sequence[str]) -> tuple[Selector, ...]:
    """`build_selector` for each name, every name once."""
    return tuple(build_selector(name) for name in dict.fromkeys(names))


def available(samples: Samples) -> tuple[Selector, ...]:
    """The built-in selectors whose columns these samples have."""
    return tuple(s for s in SELECTORS.values() if s.needs is None or getattr(samples, s.needs) is not None)
