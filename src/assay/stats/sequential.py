"""Group-sequential interval for a speedup measured in replicates, and the verdict read from it.

Notation: R replicates so far (a replicate is a fresh reference process and a fresh candidate process), each with n
timed pairs; x_ri = log(t_reference / t_candidate) of pair i; m_r = median_i x_ri.

Why replicates: two processes that run the same program differ by more than the pairs inside them show (memory
placement, alignment, clocks), so an interval from one process excludes 1.0 for identical programs far too often. The
unit of the analysis is therefore m_r, and its standard deviation sigma is pooled from A/A replicates of the reference
against itself on the same device (`Noise`) and from the replicates at hand.

Interval: mean_r m_r +- t(1 - a/2; nu) * s / sqrt(R), with
    s^2 = max(pooled variance, mean within-replicate squared error of the median), nu = nu_AA + R - 1,
    pooled variance = (nu_AA sigma_AA^2 + sum_r (m_r - mean)^2) / (nu_AA + R - 1).
Looks: the error rate alpha is spent over the looks by Lan and DeMets (Biometrika 70, 1983) with the Pocock-type
function alpha * ln(1 + (e - 1) f) at information fraction f = R / R_max; each look uses the increment as its own level,
so that by the union bound the total two-sided error is at most alpha, whatever the dependence between looks.
Degenerate cases: fewer than two A/A replicates are refused; equal medians give an interval of the pooled width.
Assumes that replicate medians are independent given the task, and about as variable for the candidate as for the
reference; `tests/stats/test_sequential.py` simulates noise that is heavy-tailed, drifting and bimodal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

from assay.core.records import Verdict

# Standard errors that an estimate may lie below a claim without being given up; those where all is to be settled.
FUTILITY_ERRORS = 1.0
SETTLING_ERRORS = 2.0

POWER = 0.9  # with which a detectable effect would be claimed


@dataclass(frozen=True)
class Noise:
    """What A/A replicates of one task on one device have shown.

    sd: standard deviation of replicate medians (log units); degrees: its degrees of freedom; bias: the largest
    systematic A/A difference that they cannot rule out, |mean| + t(0.975) sd / sqrt(J).
    """

    sd: float
    degrees: int
    bias: float

    @staticmethod
    def from_medians(medians: Sequence[float]) -> "Noise":
        """Noise of J >= 2 A/A replicate medians (log units)."""
        values = np.asarray(medians, dtype=np.float64)
        if values.size < 2:
            raise ValueError("noise needs at least two A/A replicates")
        sd = float(values.std(ddof=1))
        half_width = _t_quantile(0.05, values.size - 1) * sd / math.sqrt(values.size)
        return Noise(sd, values.size - 1, abs(float(values.mean())) + half_width)


@dataclass(frozen=True)
class Estimate:
    """A log ratio with its interval at confidence `level`. standard_error is that of the mean of replicate medians."""

    center: float
    low: float
    high: float
    standard_error: float
    degrees: int
    level: float


@dataclass(frozen=True)
class Decision:
    """What a look says: the verdict so far, whether measuring more could change it for the better, and the margin used.

    minimal_effect: smallest true relative gain that would be called `faster` in 90% of the cases at the last look (five
    in a hundred fewer, since some are given up before).
    """

    verdict: Verdict
    goes_on: bool
    estimate: Estimate
    margin: float
    minimal_effect: float


def median_and_error(values: NDArray[np.float64]) -> tuple[float, float]:
    """Median and its standard error; for fewer than three values the error is half their range.

    The error comes from the distribution-free interval of the median (order statistics l and n + 1 - l with binomial
    coverage of at least 95%; Conover, Practical Nonparametric Statistics, 1999), divided by the normal quantile of its
    exact coverage. A median absolute deviation would not do: where calls are now and then preempted, times are bimodal,
    and it collapses to the width of one mode.
    """
    ordered = np.sort(values)
    n = ordered.size
    if n < 3:
        return float(np.median(ordered)), float(ordered[-1] - ordered[0]) / 2
    lowest, errors = _median_interval(n)
    half_width = float(ordered[n - lowest] - ordered[lowest - 1]) / 2
    return float(np.median(ordered)), half_width / errors


@cache
def _median_interval(n: int) -> tuple[int, float]:
    """The lower order statistic (one-based) of the median's interval, and its half width in normal standard errors."""
    lowest = max(1, int(stats.binom.ppf(0.025, n, 0.5)))
    missed = 2 * float(stats.binom.cdf(lowest - 1, n, 0.5))
    return lowest, float(stats.norm.ppf(1 - missed / 2))


@cache
def _t_quantile(level: float, degrees: int) -> float:
    """Student's t that is exceeded on either side with probability `level` in all."""
    return float(stats.t.ppf(1 - level / 2, degrees))


def alpha_spent(alpha: float, fraction: float) -> float:
    """Cumulative error rate that may be spent at information fraction `fraction` in [0, 1]."""
    return alpha * math.log(1 + (math.e - 1) * min(1.0, fraction))


def estimate(replicates: Sequence[NDArray[np.float64]], noise: Noise, level: float) -> Estimate:
    """Interval at two-sided error `level` from the pairs of each replicate."""
    summaries = [median_and_error(pairs) for pairs in replicates]
    medians = np.array([center for center, _error in summaries])
    count = medians.size
    between = float(((medians - medians.mean()) ** 2).sum())
    degrees = noise.degrees + count - 1
    pooled = (noise.degrees * noise.sd**2 + between) / degrees
    within = float(np.mean([error**2 for _center, error in summaries]))
    standard_error = math.sqrt(max(pooled, within) / count)
    half_width = _t_quantile(level, degrees) * standard_error
    center = float(medians.mean())
    return Estimate(center, center - half_width, center + half_width, standard_error, degrees, 1 - level)


def decide(
    replicates: Sequence[NDArray[np.float64]],
    noise: Noise,
    *,
    looks: Sequence[int],
    alpha: float,
    minimal_effect: float,
    settle: bool = False,
) -> Decision:
    """The verdict after `len(replicates)` replicates, which must be one of `looks` (ascending replicate counts).

    `faster` and `slower` need at least two replicates: one process is one accident. A candidate is given up if even an
    estimate one standard error higher would not be called `faster` at the last look, since no claim can come of it,
    unless a second replicate is likely to tell that it is slower. With `settle` it is given up if neither two standard
    errors higher would be called `faster` nor two lower `slower`.
    """
    count = len(replicates)
    position = list(looks).index(count)
    spent_before = alpha_spent(alpha, looks[position - 1] / looks[-1]) if position and looks[position - 1] > 1 else 0.0
    found = estimate(replicates, noise, alpha_spent(alpha, count / looks[-1]) - spent_before)
    margin = max(minimal_effect, math.expm1(noise.bias))
    upper, lower = math.log1p(margin), math.log1p(-min(margin, 0.99))
    verdict = Verdict.UNDECIDED
    if count >= 2 and found.low > upper:
        verdict = Verdict.FASTER
    elif count >= 2 and found.high < lower:
        verdict = Verdict.SLOWER
    elif found.low >= lower and found.high <= upper:
        verdict = Verdict.SAME
    error_at_end = found.standard_error * math.sqrt(count / looks[-1])
    last_level = alpha - (alpha_spent(alpha, looks[-2] / looks[-1]) if len(looks) > 1 else 0.0)
    quantile = _t_quantile(last_level, found.degrees + looks[-1] - count)
    needed_at_end = upper + quantile * error_at_end
    doubt = (SETTLING_ERRORS if settle else FUTILITY_ERRORS) * found.standard_error
    may_be_faster = found.center + doubt >= needed_at_end
    may_be_slower = found.center - doubt <= -needed_at_end
    is_nearly_slower = count == 1 and found.center + 2 * found.standard_error < lower
    is_open = may_be_faster or is_nearly_slower or (settle and may_be_slower)
    goes_on = verdict is Verdict.UNDECIDED and count < looks[-1] and is_open
    minimal = math.expm1(upper + _detectable_errors(quantile, found.degrees) * error_at_end)
    return Decision(verdict, goes_on, found, margin, minimal)


@cache
def _detectable_errors(quantile: float, degrees: int) -> float:
    """How many standard errors an effect must exceed a margin by, so that the estimate exceeds it by `quantile` of its
    own with probability POWER.

    The standard error is known with `degrees` only, so the power is averaged over what the true one may be: s^2 times
    degrees / chi-squared.
    """
    shares = (np.arange(200) + 0.5) / 200
    true_errors = np.sqrt(degrees / stats.chi2.ppf(shares, degrees))

    def excess(errors: float) -> float:
        return float(stats.norm.cdf(errors / true_errors - quantile).mean()) - POWER

    root: Any = brentq(excess, 0.0, 1e6)
    return float(root)
