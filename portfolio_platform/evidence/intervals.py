"""Intervals and tests that the diagnostics share. All are exact or closed-form; counts may be arrays.

Sources: Wilson 1927; Clopper-free order-statistic interval of a quantile, David & Nagaraja 2003, 7.1; conditional test of two
Poisson rates, Przyborowski & Wilenski 1940; Benjamini & Hochberg 1995.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def normal_quantile(probability: float) -> float:
    """Return the standard normal quantile of a probability."""
    from scipy.special import ndtri

    return float(ndtri(probability))


def wilson(successes: npt.ArrayLike, trials: npt.ArrayLike, confidence: float = 0.95) -> tuple[Float64, Float64]:
    """Return Wilson's two-sided interval of a proportion; NaN where there is no trial. Shapes broadcast."""
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    z = normal_quantile(0.5 + confidence / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = k / n
        centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n)
        half = z / (1.0 + z * z / n) * np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))
    none = n <= 0.0
    low, high = np.where(none, np.nan, centre - half), np.where(none, np.nan, centre + half)
    # the ends are exact where every trial went one way: rounding must not say 1e-17
    return np.where(k == 0.0, np.where(none, np.nan, 0.0), low), np.where((k == n) & ~none, 1.0, high)


@lru_cache(maxsize=4096)
def quantile_ranks(n: int, probability: float, confidence: float = 0.95) -> tuple[int, int] | None:
    """Return the 1-based ranks whose order statistics bound a quantile with at least this confidence; None where n is too small.

    Equal tails: P(X_(low) > quantile) and P(X_(high) < quantile) are at most half of what is left. The median needs
    n of 6, the 90th percentile 36, at 95 %.
    """
    from scipy.stats import binom

    tail = (1.0 - confidence) / 2.0
    low = int(binom.ppf(tail, n, probability))
    if binom.cdf(low, n, probability) > tail:
        low -= 1
    # ranks are one beyond the count below them: X_(r) > q exactly where fewer than r observations lie below q
    low += 1
    high = int(binom.ppf(1.0 - tail, n, probability)) + 1
    if low < 1 or high > n:
        return None
    return low, high


def rate_tail(events: npt.ArrayLike, time: npt.ArrayLike, baseline: npt.ArrayLike, baseline_time: npt.ArrayLike) -> Float64:
    """Return ``P(Binomial(n + n0, t / (t + t0)) >= n)``: the chance of so many events at the baseline's rate; NaN without time."""
    from scipy.special import bdtrc

    n, n0 = np.asarray(events, np.float64), np.asarray(baseline, np.float64)
    t, t0 = np.asarray(time, np.float64), np.asarray(baseline_time, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = t / (t + t0)
    tail = np.where(n <= 0.0, 1.0, bdtrc(np.maximum(n - 1.0, 0.0), np.rint(n + n0).astype(np.int64), share))
    return np.where((t > 0.0) & (t0 > 0.0), tail, np.nan)


def binomial_tail(successes: npt.ArrayLike, trials: npt.ArrayLike, probability: npt.ArrayLike) -> Float64:
    """Return ``P(Binomial(trials, probability) >= successes)``."""
    from scipy.special import bdtrc

    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    p = np.asarray(probability, np.float64)
    tail: Float64 = np.where(k <= 0.0, 1.0, bdtrc(np.maximum(k - 1.0, 0.0), np.rint(n).astype(np.int64), p))
    return np.where(np.isfinite(p), tail, np.nan)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Float64:
    """Return p-values adjusted for the false discovery rate (Benjamini & Hochberg 1995), in the order given."""
    p = np.asarray(p_values, np.float64)
    if p.size == 0:
        return p
    order = np.argsort(p, kind="stable")
    scaled = p[order] * p.size / np.arange(1, p.size + 1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def bootstrap_means(values: npt.ArrayLike, membership: npt.ArrayLike, seed: int, resamples: int = 1000) -> Float64:
    """Return the means of groups in resamples of all values, (resamples, groups), for every group in one matrix product.

    Args:
        values: observations, (n,); what is not finite belongs to no group.
        membership: whether an observation belongs to a group, (n, groups); groups may overlap.
        seed: of the draws; the same seed and n give the same draws.
        resamples: how often n observations are drawn with replacement (Efron 1979).

    A group's size varies from draw to draw as its share of all does; NaN where a resample holds none of it.
    """
    x, member = np.asarray(values, np.float64), np.asarray(membership, np.float64)
    n, groups = member.shape
    if not n:
        return np.full((resamples, groups), np.nan)
    known = np.isfinite(x)
    member = member * known[:, None]
    drawn = np.random.default_rng(seed).integers(0, n, (resamples, n))
    weights = np.bincount((drawn + n * np.arange(resamples)[:, None]).ravel(), minlength=resamples * n).reshape(resamples, n)
    sums = weights.astype(np.float64) @ np.hstack((member * np.where(known, x, 0.0)[:, None], member))
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[:, :groups] / sums[:, groups:])
