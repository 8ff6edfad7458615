"""The track record as it stood after each session: probabilistic Sharpe ratio, and the signals that are resolved.

Everything is expanding: sums are anchored at the first observation, so that a day's figure does not depend on which days
are asked for. Sources: Bailey & Lopez de Prado 2012; effective sample size of an AR(1) series.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from portfolio_platform.evidence.intervals import normal_quantile

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

TOO_SHORT, NO_VARIANCE, NO_RADICAND = "too_few_observations", "returns_do_not_vary", "radicand_not_positive"


@dataclass(frozen=True)
class Skill:
    """Skill after each observation: arrays of its shape. NaN where it cannot be said, with the reason.

    Attributes:
        sharpe: Sharpe ratio of a session.
        effective: effective observations.
        probability: probabilistic Sharpe ratio.
        needed: minimum track record length, infinite where the ratio does not exceed the benchmark.
        reason: why the probability is NaN, else empty.
    """

    sharpe: Float64
    effective: Float64
    probability: Float64
    needed: Float64
    reason: tuple[str, ...]


def skill(returns: Float64, benchmark: float, confidence: float) -> Skill:
    """Return PSR and MinTRL after each of the returns (per session, none of them NaN); population moments, raw kurtosis.

    ``n_eff = n (1 - rho1) / (1 + rho1)``, at most n, stands for n in both.
    """
    from scipy.special import ndtr

    size = returns.size
    if not size:
        nothing = np.empty(0)
        return Skill(nothing, nothing, nothing, nothing, ())
    n = np.arange(1, size + 1, dtype=np.float64)
    # moments about the first return: a series that does not vary then has a variance of exactly 0
    x = returns - returns[0]
    sums = [np.cumsum(x**power) / n for power in (1, 2, 3, 4)]
    mean = sums[0]
    variance = np.maximum(sums[1] - mean**2, 0.0)
    third = sums[2] - 3.0 * mean * sums[1] + 2.0 * mean**3
    fourth = sums[3] - 4.0 * mean * sums[2] + 6.0 * mean**2 * sums[1] - 3.0 * mean**4
    cross = np.cumsum(np.concatenate(([0.0], x[1:] * x[:-1])))
    total = n * mean
    covariance = cross - mean * (total - x[0]) - mean * (total - x) + (n - 1.0) * mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpe = (mean + returns[0]) / np.sqrt(variance)
        skewness, kurtosis = third / variance**1.5, fourth / variance**2
        rho = covariance / (n * variance)
        effective = np.minimum(n, n * (1.0 - rho) / (1.0 + rho))
        radicand = 1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
        sound = (variance > 0.0) & (effective > 1.0) & (radicand > 0.0)
        probability = ndtr((sharpe - benchmark) * np.sqrt(effective - 1.0) / np.sqrt(radicand))
        needed = 1.0 + radicand * (normal_quantile(confidence) / (sharpe - benchmark)) ** 2
    needed = np.where(sharpe > benchmark, needed, np.inf)
    why = np.where(n < 2.0, TOO_SHORT, np.where(variance <= 0.0, NO_VARIANCE, np.where(effective > 1.0, NO_RADICAND, TOO_SHORT)))
    return Skill(
        np.where(variance > 0.0, sharpe, np.nan),
        np.where(variance > 0.0, effective, np.nan),
        np.where(sound, probability, np.nan),
        np.where(sound, needed, np.nan),
        tuple(np.where(sound, "", why).tolist()),
    )


@dataclass(frozen=True)
class Resolved:
    """The signals resolved up to each day asked for: how many, their mean result in R, the median slippage of those filled."""

    count: Int64
    mean_r: Float64
    median_slippage: Float64


def resolved(outcome_day: Int64, r: Float64, slippage: Float64, days: Int64) -> Resolved:
    """Return what was known of resolved signals at the end of each day.

    ``outcome_day`` is in rising order, with ``r`` and ``slippage`` (NaN where unknown) beside it; ``days`` rise too.
    """
    seen = np.searchsorted(outcome_day, days, side="right")
    has_r, has_slippage = np.isfinite(r), np.isfinite(slippage)
    with_r = np.concatenate(([0], np.cumsum(has_r)))[seen]
    sum_r = np.concatenate(([0.0], np.cumsum(np.where(has_r, r, 0.0))))[seen]
    with np.errstate(invalid="ignore"):
        mean_r = np.where(with_r > 0, sum_r / np.maximum(with_r, 1), np.nan)
    filled = np.concatenate(([0], np.cumsum(has_slippage)))[seen]
    return Resolved(seen, mean_r, expanding_medians(slippage[has_slippage], filled))


def expanding_medians(values: Float64, counts: Int64) -> Float64:
    """Return the median of the first ``counts[i]`` values for each i (counts rise); NaN for none. O(n log n)."""
    order = np.argsort(values, kind="stable")
    rank = np.empty(values.size, np.int64)
    rank[order] = np.arange(values.size)
    medians: Float64 = _medians(values[order], rank, counts.astype(np.int64))
    return medians


@njit(cache=True)
def _medians(ordered: Float64, rank: Int64, counts: Int64) -> Float64:
    """Keep the ranks seen in a Fenwick tree; the k-th smallest is found by descending it."""
    size = ordered.size
    tree = np.zeros(size + 1, np.int64)
    top = 1
    while top * 2 <= size:
        top *= 2
    medians = np.full(counts.size, np.nan)
    seen = 0
    for i in range(counts.size):
        while seen < counts[i]:
            at = rank[seen] + 1
            while at <= size:
                tree[at] += 1
                at += at & (-at)
            seen += 1
        if seen:
            total = 0.0
            for half in range(2):
                k, place, step = (seen + 1 + half) // 2, 0, top
                while step:
                    if place + step <= size and tree[place + step] < k:
                        place += step
                        k -= tree[place]
                    step //= 2
                total += ordered[place]
            medians[i] = total / 2.0
    return medians
