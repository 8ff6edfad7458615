"""The interval of the stack ratio: a moving-block bootstrap (Kuensch 1989) of all sessions as two matrix products.

The sample's ratio is ``mean(p^2) / mean(q)`` (see `stacking.weighted_paths`), so that a resample, which is a vector of weights
on the window's sessions, costs two dot products, and every session and resample together two products of matrices. Both
means are resampled: a spell of high volatility raises both, and is no evidence of correlation.

The ends are those of the unshrunk ratio, scaled to the shrunk one: ``ratio (ratio_b / raw)^c``. The exponent c widens them
for the few blocks there are, k = T / block: ``sqrt(k / (k - 1)) t_{k-1} / z``. Measured over 24 simulated books of 2 to 100 symbols,
with normal, fat-tailed and clustered returns, ends at 95 % each cover the truth in 86 to 90 % of the cases, more in books
that are nearly hedged; without the exponent in 79 to 86 %; of ``mean(p^2)`` alone, as if volatility were known, in 75 to 100 %
with intervals up to four times as wide.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@lru_cache(maxsize=64)
def weights(length: int, resamples: int, block: int, seed: int) -> Float64:
    """Return how often each of a window's sessions is drawn in each resample: (length, resamples), columns sum to ``length``."""
    block = min(block, length)
    blocks = -(-length // block)
    first = np.random.default_rng((seed, length)).integers(0, length - block + 1, (resamples, blocks))
    drawn = (first[:, :, None] + np.arange(block)).reshape(resamples, -1)[:, :length]
    out = np.zeros((length, resamples))
    np.add.at(out, (drawn, np.arange(resamples)[:, None]), 1.0)
    out.flags.writeable = False
    return out


@lru_cache(maxsize=64)
def exponent(length: int, block: int, confidence: float) -> float:
    """Return the widening for few blocks at the one-sided confidence of an end: 1 for endlessly many."""
    from scipy.special import ndtri, stdtrit

    blocks = max(2.0, length / block)
    return math.sqrt(blocks / (blocks - 1.0)) * float(stdtrit(blocks - 1.0, confidence)) / float(ndtri(confidence))


def bootstrap(
    squares: Float64, own: Float64, ratio: Float64, most: Float64, drawn: Float64, widening: float, confidence: float
) -> tuple[Float64, Float64]:
    """Return the bounds of each session's stack ratio, each one-sided at a confidence, between 0 and ``most``.

    ``most`` is the ratio were all correlations 1. Shapes: squares, own (sessions, T); ratio, most (sessions,); drawn
    (T, resamples). NaN where the sample's ratio is 0.
    """
    raw = squares.sum(axis=1) / own.sum(axis=1)
    top, bottom = squares @ drawn, own @ drawn
    # a resample of sessions on which nothing moved says nothing: it counts as the sample itself
    resampled = np.where(bottom > 0.0, top / np.where(bottom > 0.0, bottom, 1.0), raw[:, None])
    # the smallest rank that leaves the tail below it; 0.05 * 400 is a hair off 20 in floats
    low = max(math.ceil((1.0 - confidence) * drawn.shape[1] - 1e-9) - 1, 0)
    high = drawn.shape[1] - 1 - low
    ordered = np.partition(resampled, (low, high), axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = ratio * (ordered[:, low] / raw) ** widening
        upper = ratio * (ordered[:, high] / raw) ** widening
    return np.clip(lower, 0.0, most), np.clip(upper, 0.0, most)
